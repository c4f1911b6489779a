//go:build !cgo || race

package main

const builtWithCgo = false
