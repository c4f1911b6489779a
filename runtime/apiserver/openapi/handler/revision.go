package handler

import (
	"crypto/rand"
	"debug/elf"
	"os"
)

// Revision stands for the program that runs: the build ID that the linker left in
// it, the same on every master that runs the same binary. Where there is none,
// each start is a revision of its own.
func Revision() string {
	path, err := os.Executable()
	if err != nil {
		return rand.Text()
	}
	f, err := elf.Open(path)
	if err != nil {
		return rand.Text()
	}
	defer f.Close()
	note := f.Section(".note.go.buildid")
	if note == nil {
		return rand.Text()
	}
	id, err := note.Data()
	if err != nil {
		return rand.Text()
	}
	return string(id)
}
