// Package fleet is the hosts that one operation works on: a connection to each, how
// each stands, and how many are worked on at a time. Files use those below them:
// fleet, run, member, status. It may import bootstrap/host, bootstrap/spec and
// bootstrap/step.
package fleet
