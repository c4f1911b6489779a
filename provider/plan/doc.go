// Package plan decides what a plan does to hosts and what it says about that: the
// status that it promises, the hosts that join, change or leave, the servers that two
// resources would fight over, and the warnings and refusals in words. It contacts
// nobody. It may import bootstrap, its packages and provider/model.
//
// Calls run downward: removal.go uses hosts.go; the other files stand alone.
package plan
