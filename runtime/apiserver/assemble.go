package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver"

	"github.com/gantry-run/gantry/runtime/apiserver/audit"
	"github.com/gantry-run/gantry/runtime/apiserver/authentication"
	"github.com/gantry-run/gantry/runtime/apiserver/filters"
	"github.com/gantry-run/gantry/runtime/apiserver/nodeauth"
	"github.com/gantry-run/gantry/runtime/apiserver/openapi/handler"
	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/apiserver/revoked"
	"github.com/gantry-run/gantry/runtime/apiserver/services"
	"github.com/gantry-run/gantry/runtime/apiserver/tokens"
	"github.com/gantry-run/gantry/runtime/config"
)

// assembly is a server put together and not yet started.
type assembly struct {
	generic    *genericapiserver.RecommendedConfig
	stores     *registry.Stores
	objects    *objects
	roles      *rbac.Authorizer
	tokens     authenticator.Token
	issuers    *authentication.Issuers // nil without a file
	audit      *audit.Log              // nil without a log
	revoked    *revoked.Nodes
	loopback   kubernetes.Interface
	aggregator *aggregator.APIAggregator
	etcd       *clientv3.Client
	addresses  *services.Allocator
	// installed is closed when every path is served.
	installed chan struct{}
	// over is done when requests at work are to end, which end has them do.
	over context.Context
	end  context.CancelFunc
}

// assemble puts the chain of servers together: a request goes to the aggregator,
// which sends it to another API server or on to our kinds, then to custom
// resources, then to "not found".
func (s *Server) assemble(ctx context.Context) (*assembly, error) {
	scheme, err := registry.NewScheme(s.table)
	if err != nil {
		return nil, fmt.Errorf("scheme: %w", err)
	}
	codecs := serializer.NewCodecFactory(scheme)
	cfg, etcd, err := s.genericConfig(scheme, codecs)
	if err != nil {
		return nil, err
	}
	a := &assembly{generic: cfg, installed: make(chan struct{})}
	a.over, a.end = context.WithCancel(context.WithoutCancel(ctx))
	if a.loopback, err = kubernetes.NewForConfig(cfg.LoopbackClientConfig); err != nil {
		return nil, fmt.Errorf("loopback client: %w", err)
	}
	cfg.SharedInformerFactory = informers.NewSharedInformerFactory(a.loopback, 0)
	cfg.ClientConfig = cfg.LoopbackClientConfig
	if !s.cfg.DisablePriorityAndFairness {
		cfg.FlowControl = utilflowcontrol.New(cfg.SharedInformerFactory, a.loopback.FlowcontrolV1(), maxInFlight+maxMutatingInFlight)
	}

	if s.cfg.Audit.LogFile != "" {
		if a.audit, err = audit.Open(s.cfg.Audit); err != nil {
			return nil, err
		}
		cfg.AuditBackend, cfg.AuditPolicyRuleEvaluator = a.audit.Backend, a.audit.Policy
	}
	if a.stores, err = registry.OpenStores(scheme, s.table, cfg.RESTOptionsGetter); err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	if a.objects, err = findObjects(a.stores); err != nil {
		return nil, err
	}
	a.revoked = revoked.New(a.objects.configMaps.ListWatchOne(metav1.NamespaceSystem, config.ReleasedNodesConfigMap), s.log)
	cfg.BuildHandlerChainFunc = handlerChain(links{
		installed: a.installed, over: a.over, refusal: a.revoked.Refusal, sizes: a.stores.Sizes(),
		perUser: filters.PerUser(s.cfg.PerUser), decoder: codecs.UniversalDeserializer(),
	})
	if a.etcd, err = etcdClient(s.cfg.Etcd); err != nil {
		return nil, err
	}
	signer, keys, err := tokenKeys(s.cfg.ServiceAccount)
	if err != nil {
		return nil, err
	}
	issuer, err := tokens.NewIssuer(s.cfg.ServiceAccount.Issuer, signer)
	if err != nil {
		return nil, err
	}
	verifier := tokens.NewVerifier(s.cfg.ServiceAccount.Issuer, []string{s.cfg.ServiceAccount.Issuer}, keys, bindingExists(a.objects))
	if err := s.authenticate(ctx, a, verifier); err != nil {
		return nil, err
	}
	a.roles = rbac.New(rbac.Sources{
		Roles: a.objects.roles.ListWatch(), RoleBindings: a.objects.roleBindings.ListWatch(),
		ClusterRoles: a.objects.clusterRoles.ListWatch(), ClusterRoleBindings: a.objects.clusterRoleBindings.ListWatch(),
	})
	if err := authorize(&cfg.Config, a.roles, nodeauth.New(nodeObjects{a.objects})); err != nil {
		return nil, fmt.Errorf("authorization: %w", err)
	}
	if err := a.admission(s.cfg.Admission); err != nil {
		return nil, fmt.Errorf("admission: %w", err)
	}

	hooks := cfg.PostStartHooks
	crds, err := a.customResources(etcd)
	if err != nil {
		return nil, fmt.Errorf("custom resources: %w", err)
	}
	cfg.PostStartHooks = hooks
	cfg.SkipOpenAPIInstallation = true // openapi/handler does it
	core, err := cfg.Complete().New("gantry", checked{crds.GenericAPIServer, func(h http.Handler) http.Handler {
		return filters.WithoutProtobuf(h, apiextensions.GroupName, codecs)
	}})
	if err != nil {
		return nil, fmt.Errorf("API server: %w", err)
	}
	handler.New(core.Handler.GoRestfulContainer, cfg.OpenAPIConfig, cfg.OpenAPIV3Config, handler.Revision()).Register(core.Handler.NonGoRestfulMux)
	if err := s.install(core, a, scheme, codecs, issuer); err != nil {
		return nil, fmt.Errorf("install the API groups: %w", err)
	}
	if err := s.publicDocuments(core, keys); err != nil {
		return nil, err
	}
	if err := s.hooks(ctx, core, a); err != nil {
		return nil, err
	}
	if a.aggregator, err = s.aggregate(a, etcd, core, crds); err != nil {
		return nil, fmt.Errorf("aggregator: %w", err)
	}
	return a, nil
}

// start begins what must run before the first request is served.
func (a *assembly) start(ctx context.Context) {
	go a.roles.Run(ctx)
	go a.revoked.Run(ctx)
	go a.endWithoutStore(ctx)
	if a.issuers != nil {
		go a.issuers.Run(ctx)
	}
	go func() {
		for _, done := range a.aggregator.GenericAPIServer.MuxAndDiscoveryCompleteSignals() {
			select {
			case <-done:
			case <-ctx.Done():
				return
			}
		}
		close(a.installed)
	}()
}

// endWithoutStore has requests at work end once ctx is done and the store does not
// answer. They would wait for it as long as requests may, and the server for them; where
// it answers they finish.
func (a *assembly) endWithoutStore(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-a.over.Done():
		return
	}
	for a.over.Err() == nil {
		probe, cancel := context.WithTimeout(a.over, storeAnswers)
		_, err := a.etcd.Get(probe, storagePrefix) // nothing is there, but all members that matter agree on that
		cancel()
		if err != nil {
			a.end()
			return
		}
		select {
		case <-a.over.Done():
		case <-time.After(storeAnswers):
		}
	}
}

// close frees what the servers' own shutdown does not.
func (a *assembly) close() {
	a.end()
	a.etcd.Close()
	if a.audit != nil {
		a.audit.Close()
	}
}
