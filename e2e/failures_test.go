//go:build lab

package e2e

import (
	"strings"
	"testing"
)

// reasonLines is how much is told last of each failure; the whole stands above.
const reasonLines = 12

// tell prints why a test failed.
func (f *failures) tell(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, why := range f.why {
		lines := strings.Split(strings.TrimSpace(why), "\n")
		t.Logf("%s failed: %s", t.Name(), strings.Join(lines[:min(len(lines), reasonLines)], "\n"))
	}
}

// add keeps why a step failed.
func (f *failures) add(step string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why = append(f.why, step+": "+err.Error())
}
