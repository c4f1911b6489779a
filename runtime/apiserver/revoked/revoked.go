// Package revoked knows the nodes that were taken out of the cluster, and refuses the
// certificates that their servers still hold, or whoever has read them there: a server
// that boots again must not take its place as if nothing had happened. It follows one ConfigMap; nothing is read for a request. It may import runtime/config.
package revoked

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/runtime/config"
)

// ErrNotYet is returned for the certificate of a node until it is known which nodes
// were revoked.
var ErrNotYet = errors.New("it is not known yet which nodes were taken out of the cluster")

// Nodes are those whose certificates were revoked, and when.
type Nodes struct {
	informer cache.SharedIndexInformer
	taken    cache.ResourceEventHandlerRegistration
	log      *slog.Logger
	// revoked is not changed once stored; nil before the first look.
	revoked atomic.Pointer[map[string]time.Time]
}

// New returns the nodes of the ConfigMap that source yields. It watches nothing
// before Run.
func New(source cache.ListerWatcher, log *slog.Logger) *Nodes {
	n := &Nodes{informer: cache.NewSharedIndexInformer(source, &corev1.ConfigMap{}, 0, cache.Indexers{}), log: log}
	n.taken, _ = n.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{ // fails only when stopped
		AddFunc:    func(o any) { n.take(o.(*corev1.ConfigMap)) },
		UpdateFunc: func(_, o any) { n.take(o.(*corev1.ConfigMap)) },
		DeleteFunc: func(any) { n.take(&corev1.ConfigMap{}) },
	})
	return n
}

// Run watches until ctx is done.
func (n *Nodes) Run(ctx context.Context) {
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), n.taken.HasSynced) {
			n.revoked.CompareAndSwap(nil, &map[string]time.Time{}) // there is no ConfigMap
		}
	}()
	n.informer.RunWithContext(ctx)
}

func (n *Nodes) take(cm *corev1.ConfigMap) {
	revoked := map[string]time.Time{}
	for node, value := range cm.Data {
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			// Whoever wrote it wanted the node out.
			n.log.Warn("the time of a revoked node cannot be read: all of its certificates are refused", "node", node, "value", value, "error", err)
			at = time.Unix(1<<40, 0) // after the beginning of every certificate
		}
		revoked[node] = at
	}
	n.revoked.Store(&revoked)
}

// Refusal says why a client certificate is not accepted; nil when nothing is against
// it. It is asked for each request.
func (n *Nodes) Refusal(cert *x509.Certificate) error {
	revoked := n.revoked.Load()
	if revoked == nil {
		if strings.HasPrefix(cert.Subject.CommonName, config.NodeUserPrefix) {
			return ErrNotYet
		}
		return nil
	}
	if len(*revoked) == 0 {
		return nil
	}
	// Its other processes share a common name with those of all nodes; the names that
	// a certificate is good for tell whose it is.
	name, node := strings.CutPrefix(cert.Subject.CommonName, config.NodeUserPrefix)
	if node {
		return n.refusal(*revoked, name, cert)
	}
	if i := slices.IndexFunc(cert.DNSNames, func(name string) bool { return name != localhost && n.refusal(*revoked, name, cert) != nil }); i >= 0 {
		return n.refusal(*revoked, cert.DNSNames[i], cert)
	}
	return nil
}

// localhost is a name on all certificates, and of no node.
const localhost = "localhost"

func (n *Nodes) refusal(revoked map[string]time.Time, node string, cert *x509.Certificate) error {
	at, ok := revoked[node]
	if !ok || cert.NotBefore.After(at) {
		return nil
	}
	return &Error{Node: node, NotBefore: cert.NotBefore}
}

// Error is the refusal of a certificate of a revoked node.
type Error struct {
	Node      string
	NotBefore time.Time
}

func (e *Error) Error() string {
	return fmt.Sprintf("node %s was taken out of the cluster, and its certificate, valid from %s, is good no more: wipe the server, "+
		"or add the node to the configuration again, which gives it another", e.Node, e.NotBefore.UTC().Format(time.RFC3339))
}
