// What cannot be missed: a sound for what is new, made here and not loaded. Browsers allow it after the first key or click.

const TONES = { critical: [880, 660, 880, 660], major: [660, 880], minor: [520], information: [] };
let context = null, wanted = localStorage.getItem("sound") !== "off";
export const isOn = () => wanted;
export const rung = []; // what has sounded, for tests and for who asks

export function turn(on) {
  wanted = on;
  localStorage.setItem("sound", on ? "on" : "off");
  if (on) alarm("minor");
}
export function alarm(severity) {
  if (!wanted) return;
  rung.push(severity);
  if (!navigator.userActivation?.hasBeenActive) return; // nobody has touched the page yet: the browser would refuse
  context ??= new AudioContext();
  context.resume();
  TONES[severity]?.forEach((tone, n) => {
    const from = context.currentTime + 0.22 * n, voice = context.createOscillator(), volume = context.createGain();
    voice.frequency.value = tone;
    volume.gain.setValueAtTime(0.0001, from);
    volume.gain.exponentialRampToValueAtTime(0.25, from + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, from + 0.2);
    voice.connect(volume).connect(context.destination);
    voice.start(from);
    voice.stop(from + 0.22);
  });
}
