package poststarthook

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/cert"
)

// AuthenticationConfigMap is where aggregated API servers read, in kube-system, how they
// know who asks: which authority signs the certificates of clients, which one that of
// the server that proxies to them, and in which headers that one names the user.
//
// https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
const AuthenticationConfigMap = "extension-apiserver-authentication"

// retryDelay is the pause before a write that failed is tried again.
const retryDelay = time.Second

// Authentication publishes what this server is known by. What others have added stays:
// masters, and administrators with an authority of their own, share the object.
type Authentication struct {
	client kubernetes.Interface
	own    map[string]string
	log    *slog.Logger
}

// NewAuthentication publishes the authority of clients, in PEM, and the identity of this
// server as a front proxy; nil: it has none.
func NewAuthentication(c kubernetes.Interface, clientCA []byte, proxy *authenticatorfactory.RequestHeaderConfig, log *slog.Logger) (*Authentication, error) {
	a := &Authentication{client: c, own: map[string]string{"client-ca-file": string(clientCA)}, log: log}
	if proxy == nil {
		return a, nil
	}
	a.own["requestheader-client-ca-file"] = string(proxy.CAContentProvider.CurrentCABundleContent())
	for key, values := range map[string][]string{
		"requestheader-username-headers":     proxy.UsernameHeaders.Value(),
		"requestheader-uid-headers":          proxy.UIDHeaders.Value(),
		"requestheader-group-headers":        proxy.GroupHeaders.Value(),
		"requestheader-extra-headers-prefix": proxy.ExtraHeaderPrefixes.Value(),
		"requestheader-allowed-names":        proxy.AllowedClientNames.Value(),
	} {
		list, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		a.own[key] = string(list)
	}
	return a, nil
}

// Ensure writes what is missing.
func (a *Authentication) Ensure(ctx context.Context) error {
	objects := a.client.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	have, err := objects.Get(ctx, AuthenticationConfigMap, metav1.GetOptions{})
	switch {
	case errors.IsNotFound(err):
		_, err = objects.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: AuthenticationConfigMap}, Data: combine(nil, a.own)}, metav1.CreateOptions{})
	case err == nil:
		data := combine(have.Data, a.own)
		if maps.Equal(data, have.Data) {
			return nil
		}
		have.Data = data
		_, err = objects.Update(ctx, have, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("publish how aggregated API servers know clients: %w", err)
	}
	return nil
}

// Run keeps it so until ctx is done: it watches this one object.
func (a *Authentication) Run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(a.client.CoreV1().RESTClient(), "configmaps", metav1.NamespaceSystem, fields.OneTermEqualSelector("metadata.name", AuthenticationConfigMap)),
		ObjectType:    &corev1.ConfigMap{},
		Handler:       cache.ResourceEventHandlerFuncs{AddFunc: notify, UpdateFunc: func(_, o any) { notify(o) }, DeleteFunc: notify},
	})
	go informer.RunWithContext(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		}
		if err := a.Ensure(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("it is tried again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(retryDelay):
			}
			notify(nil)
		}
	}
}

// combine is what is published when own joins what is there. As upstream, it has no other
// keys.
func combine(have, own map[string]string) map[string]string {
	out := map[string]string{}
	for key, value := range own {
		if strings.HasSuffix(key, "-ca-file") {
			out[key] = bundle(have[key], value)
		} else {
			out[key] = list(have[key], value)
		}
	}
	return out
}

// bundle joins certificates in PEM. What is none is left out.
func bundle(texts ...string) string {
	var out strings.Builder
	seen := map[string]bool{}
	for _, text := range texts {
		certificates, err := cert.ParseCertsPEM([]byte(text))
		if err != nil {
			continue
		}
		for _, c := range certificates {
			if !seen[string(c.Raw)] {
				seen[string(c.Raw)] = true
				out.Write(pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: c.Raw}))
			}
		}
	}
	return out.String()
}

// list joins lists of strings in JSON. What is none is left out.
func list(texts ...string) string {
	all := []string{}
	for _, text := range texts {
		var values []string
		if json.Unmarshal([]byte(text), &values) != nil {
			continue
		}
		for _, v := range values {
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	out, _ := json.Marshal(all) // strings always encode
	return string(out)
}
