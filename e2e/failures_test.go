//go:build lab

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// reasonLines is how much of its end is told last of each failure, below its first line:
// programs print their errors last. The whole stands above.
const reasonLines = 12

// tell prints why a test failed.
func (f *failures) tell(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, why := range f.why {
		lines := strings.Split(strings.TrimSpace(why), "\n")
		if beyond := len(lines) - 1 - reasonLines; beyond > 0 {
			lines = slices.Replace(lines, 1, 1+beyond, fmt.Sprintf("… %d lines, which stand above …", beyond))
		}
		t.Logf("%s failed: %s", t.Name(), strings.Join(lines, "\n"))
	}
}

// add keeps why a step failed.
func (f *failures) add(step string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.why = append(f.why, step+": "+err.Error())
}
