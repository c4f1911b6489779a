// Package gantry holds no code, only the test that enforces the house's rules:
// which package may import which, and what a binary must never link.
package gantry
