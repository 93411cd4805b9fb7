//go:build !race

package bench

// raceDetector multiplies the memory of a process.
const raceDetector = false
