package provider

import (
	"os"
	"path/filepath"
	"strings"
)

// expand makes ~/x of a configuration the x in the user's home, as a shell would.
func expand(file string) string {
	rest, found := strings.CutPrefix(file, "~/")
	if !found {
		return file
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return file
	}
	return filepath.Join(home, rest)
}
