package nodes

import (
	"context"
	"fmt"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/runtime/config"
)

// Revoked is, for each node that was removed, the last beginning of a certificate that
// the API servers refuse. It only grows: a server that comes back must not pass for the
// one that took its name.
type Revoked map[string]time.Time

// signedMeanwhile is how much later than now a certificate may have been signed that is
// revoked: the masters sign too, by clocks that differ from ours by half a minute
// (preflight.MaxSkew), and a request that they have seen is signed a moment later.
const signedMeanwhile = time.Minute

// revocations is the name of the ConfigMap in messages.
const revocations = metav1.NamespaceSystem + "/" + config.ReleasedNodesConfigMap

// anotherWrote is how long who is refused for a conflict waits, and for how long on end:
// there is one object for all nodes that an apply takes out at a time, and a conflict means
// that another one of them was written, so that each gets its turn.
var anotherWrote = wait.Backoff{Duration: 20 * time.Millisecond, Factor: 1, Jitter: 2, Steps: math.MaxInt}

// Revoke has the API servers refuse all certificates that the node was given so far.
func Revoke(ctx context.Context, api kubernetes.Interface, node string, now time.Time) error {
	maps := api.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	err := retry.OnError(anotherWrote, func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }, func() error {
		cm, err := maps.Get(ctx, config.ReleasedNodesConfigMap, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			cm, err = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ReleasedNodesConfigMap, Namespace: metav1.NamespaceSystem}}, nil
		}
		if err != nil {
			return err
		}
		cm.Data = revoke(cm.Data, node, now)
		if missing {
			_, err = maps.Create(ctx, cm, metav1.CreateOptions{})
		} else {
			_, err = maps.Update(ctx, cm, metav1.UpdateOptions{})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("have the certificates of node %s refused (ConfigMap %s): %w", node, revocations, err)
	}
	return nil
}

// revoke enters a node, and takes out those whose certificates have all ended.
func revoke(entries map[string]string, node string, now time.Time) map[string]string {
	if entries == nil {
		entries = map[string]string{}
	}
	for name, value := range entries {
		if at, err := time.Parse(time.RFC3339, value); err == nil && at.Add(pki.LeafLifetime+24*time.Hour).Before(now) {
			delete(entries, name)
		}
	}
	refused := pki.Begins(now).Add(signedMeanwhile)
	if had, err := time.Parse(time.RFC3339, entries[node]); err == nil && !had.Before(refused) {
		refused = had.Add(time.Second) // as the next certificate after had begins
	}
	entries[node] = refused.UTC().Format(time.RFC3339)
	return entries
}

// ReadRevoked returns what Revoke has written.
func ReadRevoked(ctx context.Context, api kubernetes.Interface) (Revoked, error) {
	cm, err := api.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, config.ReleasedNodesConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("see which nodes' certificates are revoked (ConfigMap %s): %w", revocations, err)
	}
	out := Revoked{}
	for node, value := range cm.Data {
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil, fmt.Errorf("ConfigMap %s: node %s: %w: mend or remove the entry", revocations, node, err)
		}
		out[node] = at
	}
	return out, nil
}
