// Package workers has the phases of pools: preflight, join (with the bundle handed on
// by a master), drain, removal and wipe. The root package puts them in order. Files
// use those below them: operation, join, remove, handon. It may import
// bootstrap/machine and what that is made of.
package workers
