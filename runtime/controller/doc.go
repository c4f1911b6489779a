// Package controller is the controller-manager: it waits for the leader lease,
// makes the informers that all controllers share, and runs one controller per
// subpackage. Each controller is event-driven and idempotent: a key names what
// changed, and one function makes the world of that key as desired.
//
// To add a controller: a subpackage with New and Run(ctx, workers), and one line
// in controllers.go.
//
// It may import runtime/client, runtime/config and its own subpackages.
package controller
