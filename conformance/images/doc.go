// Package images makes the container images that the conformance suite asks for,
// where no registry can be reached: a Debian root file system with the tools that
// the suite's images have, and the suite's small programs, built from the same
// module. It serves them as a registry does. It may import nothing of ours.
package images
