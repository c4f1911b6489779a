// Package filters holds the links of the handler chain that the library lacks: a
// request ends at its deadline whatever its client does, and no user holds more
// watches and streams than is good for the others. It imports none of our packages.
package filters
