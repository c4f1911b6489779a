package apiserver

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/registry/rest"
	restclient "k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/services"
	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
)

// eventTTL is how long events are kept, in seconds.
const eventTTL = uint64(time.Hour / time.Second)

// Prefixes of the keys that are no API objects.
const (
	ledgerPrefix  = "/gantry/services"
	mastersPrefix = "/gantry/masters"
)

// special adds what belongs to single kinds.
func (s *Server) special(a *assembly, issuer *tokens.Issuer, verifier authenticator.Token, add func(schema.GroupVersion, string, rest.Storage)) error {
	core := corev1.SchemeGroupVersion
	pods, nodes, svcs := a.stores.get("", "pods"), a.stores.get("", "nodes"), a.stores.get("", "services")

	toKubelet, err := kubeletTransport(s.cfg.Kubelet.CAFile, s.cfg.Kubelet.CertFile, s.cfg.Kubelet.KeyFile)
	if err != nil {
		return err
	}
	kubelets := registry.NewKubelets(nodes, toKubelet)
	add(core, "pods/binding", registry.NewBinding(pods))
	add(core, "pods/eviction", registry.NewEviction(pods, a.stores.get("policy", "poddisruptionbudgets")))
	add(core, "pods/ephemeralcontainers", registry.NewEphemeralContainers(pods))
	add(core, "pods/log", registry.NewLog(pods, kubelets))
	add(core, "pods/exec", registry.NewExec(pods, kubelets))
	add(core, "pods/attach", registry.NewAttach(pods, kubelets))
	add(core, "pods/portforward", registry.NewPortForward(pods, kubelets))
	// What answers there has a certificate of its own, or none.
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.Proxy = nil
	add(core, "pods/proxy", registry.NewPodProxy(pods, plain))
	add(core, "services/proxy", registry.NewServiceProxy(svcs, plain))
	add(core, "nodes/proxy", registry.NewNodeProxy(kubelets))

	namespaces := a.stores.get("", "namespaces")
	add(core, "namespaces", registry.NewNamespaces(namespaces))
	add(core, "namespaces/status", namespaces.Status())
	add(core, "namespaces/finalize", registry.NewFinalize(namespaces))
	add(core, "serviceaccounts/token", registry.NewToken(a.stores.get("", "serviceaccounts"), pods, nodes, a.stores.get("", "secrets"), issuer, s.cfg.ServiceAccount.Issuer))
	a.stores.get("", "events").TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return eventTTL, nil }

	if err := s.allocate(a, svcs, s.log); err != nil {
		return err
	}
	csr := schema.GroupVersion{Group: "certificates.k8s.io", Version: "v1"}
	add(csr, "certificatesigningrequests/approval", registry.NewApproval(a.stores.get(csr.Group, "certificatesigningrequests")))

	authn, authz := schema.GroupVersion{Group: "authentication.k8s.io", Version: "v1"}, schema.GroupVersion{Group: "authorization.k8s.io", Version: "v1"}
	decide := a.generic.Authorization.Authorizer
	add(authn, "tokenreviews", registry.TokenReviews(verifier, a.generic.Authentication.APIAudiences))
	add(authn, "selfsubjectreviews", registry.SelfSubjectReviews())
	add(authz, "subjectaccessreviews", registry.SubjectAccessReviews(decide))
	add(authz, "localsubjectaccessreviews", registry.LocalSubjectAccessReviews(decide))
	add(authz, "selfsubjectaccessreviews", registry.SelfSubjectAccessReviews(decide))
	add(authz, "selfsubjectrulesreviews", registry.SelfSubjectRulesReviews(a.roles))
	return nil
}

// kubeletTransport dials kubelets as this API server. It speaks HTTP/1.1, since
// streams are upgraded.
func kubeletTransport(ca, cert, key string) (http.RoundTripper, error) {
	t, err := restclient.TransportFor(&restclient.Config{TLSClientConfig: restclient.TLSClientConfig{
		CAFile: ca, CertFile: cert, KeyFile: key, NextProtos: []string{"http/1.1"},
	}})
	if err != nil {
		return nil, fmt.Errorf("credentials for kubelets: %w", err)
	}
	return t, nil
}

// allocate makes Services get their addresses.
func (s *Server) allocate(a *assembly, store *registry.Store, log *slog.Logger) error {
	first, err := services.First(s.cfg.ServiceCIDR)
	if err != nil {
		return fmt.Errorf("serviceCIDR: %w", err)
	}
	random := func(n int64) int64 {
		i, err := rand.Int(rand.Reader, big.NewInt(n))
		if err != nil {
			return 0 // the search in order that follows still finds one
		}
		return i.Int64()
	}
	a.addresses, err = services.New(s.cfg.ServiceCIDR, s.cfg.ServiceNodePortRange, []string{first.String(), s.cfg.ClusterDNS},
		services.NewLedger(a.etcd, ledgerPrefix), random)
	if err != nil {
		return err
	}
	registry.AllocateServices(store, a.addresses, log)
	return nil
}
