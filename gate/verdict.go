package main

import "regexp"

// never are what no second try makes good, as the tests and the Go runtime print it: it
// would be a defect also if it came once in a hundred runs.
var never = []*regexp.Regexp{
	regexp.MustCompile(`^\s*WARNING: DATA RACE`),
	regexp.MustCompile(`^\s*(panic: |fatal error: )`), // also a program's that the test ran
	regexp.MustCompile(`^\s*Stack trace from the .* plugin`),
	regexp.MustCompile(`is not clean:`),
	regexp.MustCompile(`the state holds a (private )?key|a secret was found|found no key on `),
	regexp.MustCompile(`the second apply was not refused`), // two runs at work
	regexp.MustCompile(`is tainted`),
}

// tooSlow is a panic that says only that time was over.
var tooSlow = regexp.MustCompile(`^\s*panic: test timed out after`)

// unforgivable is the first line that forbids a second try.
func unforgivable(line string) bool {
	if tooSlow.MatchString(line) {
		return false
	}
	for _, pattern := range never {
		if pattern.MatchString(line) {
			return true
		}
	}
	return false
}
