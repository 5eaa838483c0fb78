"""`make bench`: every benchmark, one after the other."""

from benchmarks import end_to_end, stages

stages.main()
end_to_end.main()
