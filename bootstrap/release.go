package bootstrap

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// releases is, for each node that was let go of while its server could not be
// reached, the last beginning of a certificate that the API servers refuse. It only
// grows: a server that comes back must not pass for the one that took its name.
type releases map[string]time.Time

// What a server that was let go of would do, should it ever start again.
const (
	barredWorker = "Should it ever start again, its certificates are refused: it stays outside until it is wiped (remove /etc/gantry, " +
		"/var/lib/gantry and the gantry-*.service units) or the configuration names it again. Pods that were on it may run there meanwhile."
	barredMaster = "The certificates of its processes are refused, but it holds the keys of the cluster's authorities, and whoever has " +
		"those can make others: do not let it start again, and destroy or wipe its disk (the guide on dead servers says more)."
	succeeded = "Another server has its name in the cluster. Should it ever start again, wipe it before it does (remove /etc/gantry, " +
		"/var/lib/gantry and the gantry-*.service units)."
	notBarred = "Should it ever start again, wipe it before it does (remove /etc/gantry, /var/lib/gantry and the gantry-*.service units): " +
		"it would try to come back."
)

// bar has the certificates of a server refused that could not be reached.
func (e *Engine) bar(ctx context.Context, m *member, api kubernetes.Interface, said string) error {
	err := e.timed(m, "refuse its certificates", func() error { return e.release(ctx, api, m.spec.Name) })
	if err == nil {
		m.barred = said
	}
	return err
}

// release has the API servers refuse all certificates that the node was given so far.
func (e *Engine) release(ctx context.Context, api kubernetes.Interface, node string) error {
	maps := api.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	begins := pki.Begins(e.Now())
	err := retry.OnError(retry.DefaultRetry, func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }, func() error {
		cm, err := maps.Get(ctx, config.ReleasedNodesConfigMap, metav1.GetOptions{})
		missing := apierrors.IsNotFound(err)
		if missing {
			cm, err = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: config.ReleasedNodesConfigMap, Namespace: metav1.NamespaceSystem}}, nil
		}
		if err != nil {
			return err
		}
		if cm.Data == nil {
			cm.Data = map[string]string{}
		}
		for name, value := range cm.Data {
			// The certificates of so long ago have ended.
			if at, err := time.Parse(time.RFC3339, value); err == nil && at.Add(pki.LeafLifetime+24*time.Hour).Before(e.Now()) {
				delete(cm.Data, name)
			}
		}
		refused := begins
		if had, err := time.Parse(time.RFC3339, cm.Data[node]); err == nil && !had.Before(refused) {
			refused = had.Add(time.Second) // as the next certificate after had begins
		}
		cm.Data[node] = refused.UTC().Format(time.RFC3339)
		if missing {
			_, err = maps.Create(ctx, cm, metav1.CreateOptions{})
		} else {
			_, err = maps.Update(ctx, cm, metav1.UpdateOptions{})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("have the certificates of node %s refused (ConfigMap %s/%s): %w", node, metav1.NamespaceSystem, config.ReleasedNodesConfigMap, err)
	}
	return nil
}

// released returns what release has written.
func released(ctx context.Context, api kubernetes.Interface) (releases, error) {
	cm, err := api.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, config.ReleasedNodesConfigMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("see which nodes were let go of (ConfigMap %s/%s): %w", metav1.NamespaceSystem, config.ReleasedNodesConfigMap, err)
	}
	out := releases{}
	for node, value := range cm.Data {
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil, fmt.Errorf("ConfigMap %s/%s: node %s: %w: mend or remove the entry", metav1.NamespaceSystem, config.ReleasedNodesConfigMap, node, err)
		}
		out[node] = at
	}
	return out, nil
}

// releasedOf asks through a fleet of masters. One whose API does not answer may be
// just what is to be mended, so that is no error: a node that then keeps a refused
// certificate has no Node, which the next plan sees.
func (e *Engine) releasedOf(ctx context.Context, f *fleet, c spec.Connection, trust install.Authorities) releases {
	if f.source == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	api, err := e.api(f, c, trust)
	if err != nil {
		return nil
	}
	out, err := released(ctx, api)
	if err != nil {
		return nil
	}
	return out
}
