// Package kindtest holds the tests that every group of kinds runs over its rows, and
// what their tables are made of: manifests, each with a small change. It may import
// kind.
package kindtest
