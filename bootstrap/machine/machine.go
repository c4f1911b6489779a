package machine

import (
	"time"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/bundle"
)

// Lifecycle takes servers into a cluster and out of it.
type Lifecycle struct {
	access.Config
	// Bundle that is installed; nil where nothing is.
	Bundle *bundle.Bundle
	// NodeTimeout is how long a node may take to be Ready once its processes run;
	// DrainTimeout how long the pods of a leaving node may take.
	NodeTimeout, DrainTimeout time.Duration
}
