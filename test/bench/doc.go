// Package bench measures the plugin against AWS's own limits, against other common
// designs, and as a process.
//
// The measurements are tests of this package, because virtual time
// (testing/synctest) exists only in tests: a publication to 33 Regions that
// takes 40 minutes is measured in seconds, and to the millisecond the same each
// time. `make test` runs the small ones, with the goals as assertions; `make
// bench` runs all, by setting ORGAMI_BENCH to the file that gets a line of JSON
// for each, and renders docs/performance.md from it.
package bench
