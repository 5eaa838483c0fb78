"""`make bench`: every benchmark, one after the other."""

from benchmarks import cost, end_to_end, fusion, stages

for benchmark in (stages, cost, fusion, end_to_end):
    benchmark.main()
