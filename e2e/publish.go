package e2e

import (
	"fmt"
	"os"
	"strings"
)

// FiguresEnd is the line of a document that figures end with.
const FiguresEnd = "<!-- end of the figures -->\n"

// FiguresOf is the line of a document that figures begin with, which what writes them.
func FiguresOf(what string) string { return "<!-- figures of " + what + " -->\n" }

// Publish writes figures into a document: between the line that says what writes them
// and the next one that ends figures, in the place of those that are there.
func Publish(document, what, figures string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	begin := FiguresOf(what)
	before, rest, begun := strings.Cut(string(old), begin)
	_, after, ended := strings.Cut(rest, FiguresEnd)
	if !begun || !ended {
		return fmt.Errorf("%s has no place for the figures: no lines %q and %q", document, begin, FiguresEnd)
	}
	return os.WriteFile(document, []byte(before+begin+figures+FiguresEnd+after), 0o644)
}
