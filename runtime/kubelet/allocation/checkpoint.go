package allocation

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// Checkpoint keeps what pods were given, each in its directory.
type Checkpoint struct{ Layout poddir.Layout }

// Load returns what was kept of a pod. Nothing was of one that an earlier version
// admitted, or when the server lost power while it was written.
func (c Checkpoint) Load(uid string) (Resources, bool) {
	var r Resources
	data, err := os.ReadFile(c.Layout.Allocation(uid))
	return r, err == nil && json.Unmarshal(data, &r) == nil && r.Containers != nil
}

// Save keeps what a pod is given, in place of what was kept before.
func (c Checkpoint) Save(uid string, r Resources) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep what pod %s is given: %w", uid, err)
	}
	at := c.Layout.Allocation(uid)
	if err = os.MkdirAll(filepath.Dir(at), 0o750); err == nil {
		if err = os.WriteFile(at+".new", data, 0o600); err == nil {
			err = os.Rename(at+".new", at)
		}
	}
	if err != nil {
		return fmt.Errorf("keep what pod %s is given: %w", uid, err)
	}
	return nil
}
