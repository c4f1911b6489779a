package nodestatus

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/gantry-run/gantry/runtime/client"
)

// watch wakes the reporter when the status of its Node changes, or the Node is deleted:
// a controller that took this server for dead has said so in the status, and nothing
// else would tell that it is wrong.
func (r *Reporter) watch() {
	own := func(n *corev1.Node) bool { return n.Name == r.cfg.NodeName }
	client.Watch(r.cfg.Nodes.Informer(), nil, func(old, now *corev1.Node) {
		if own(now) && !sameStatus(old.Status, now.Status) {
			r.Wake()
		}
	}, func(n *corev1.Node) {
		if own(n) {
			r.Wake()
		}
	})
}

// current is the Node as the API has it: as it was written last, unless somebody wrote
// after that. there is false when the API has it no more.
func (r *Reporter) current(written *corev1.Node) (node *corev1.Node, there bool) {
	if !r.cfg.Nodes.Informer().HasSynced() {
		return written, true
	}
	seen, err := r.cfg.Nodes.Lister().Get(r.cfg.NodeName)
	switch {
	case err != nil: // it is deleted, or the watch has not come to it yet: a write tells
		return written, false
	case newer(seen.ResourceVersion, written.ResourceVersion):
		return seen, true
	}
	return written, true
}

// newer says whether version a of an object is later than b.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}
