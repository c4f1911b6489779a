package nodestatus

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

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
