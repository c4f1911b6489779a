package apiserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	apiextensionsoptions "k8s.io/apiextensions-apiserver/pkg/cmd/server/options"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericfilters "k8s.io/apiserver/pkg/endpoints/filters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/notfoundhandler"
	"k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationhelper "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1/helper"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
	apiregistrationlisters "k8s.io/kube-aggregator/pkg/client/listers/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/controllers/autoregister"
)

// Priorities of groups in discovery: ours before those of custom resources.
const (
	builtinGroupPriority = 17000
	customGroupPriority  = 1000
	builtinVersion       = 15
	customVersion        = 100
)

// variant is the generic configuration for another server of the chain: the same
// but for the objects it stores.
func (a *assembly) variant(etcd *options.EtcdOptions, codec runtime.Codec, gv schema.GroupVersion) (genericapiserver.Config, error) {
	c := a.generic.Config
	c.PostStartHooks = map[string]genericapiserver.PostStartHookConfigEntry{}
	e := *etcd
	e.StorageConfig.Codec = codec
	e.StorageConfig.EncodeVersioner = runtime.NewMultiGroupVersioner(gv, schema.GroupKind{Group: gv.Group})
	e.SkipHealthEndpoints = true
	c.RESTOptionsGetter = nil
	return c, e.ApplyTo(&c)
}

// customResources is the server of CRDs and the resources they define.
func (a *assembly) customResources(etcd *options.EtcdOptions) (*apiextensions.CustomResourceDefinitions, error) {
	gv := apiextensionsv1.SchemeGroupVersion
	c, err := a.variant(etcd, apiextensions.Codecs.LegacyCodec(gv), gv)
	if err != nil {
		return nil, err
	}
	c.MergedResourceConfig = apiextensions.DefaultAPIResourceConfigSource()
	cfg := &apiextensions.Config{
		GenericConfig: &genericapiserver.RecommendedConfig{Config: c, SharedInformerFactory: a.generic.SharedInformerFactory},
		ExtraConfig: apiextensions.ExtraConfig{
			CRDRESTOptionsGetter: apiextensionsoptions.NewCRDRESTOptionsGetter(*etcd, c.ResourceTransformers, c.StorageObjectCountTracker),
			MasterCount:          1, ServiceResolver: serviceResolver{a.objects.services},
		},
	}
	notFound := notfoundhandler.New(a.generic.Serializer, genericfilters.NoMuxAndDiscoveryIncompleteKey)
	return cfg.Complete().New(genericapiserver.NewEmptyDelegateWithCustomHandler(notFound))
}

// aggregate is the outermost server: it knows which group is served by whom.
func (s *Server) aggregate(a *assembly, etcd *options.EtcdOptions, core *genericapiserver.GenericAPIServer, crds *apiextensions.CustomResourceDefinitions) (*aggregator.APIAggregator, error) {
	gv := apiregistrationv1.SchemeGroupVersion
	c, err := a.variant(etcd, aggregatorscheme.Codecs.LegacyCodec(gv), gv)
	if err != nil {
		return nil, err
	}
	c.MergedResourceConfig = aggregator.DefaultAPIResourceConfigSource()
	c.SkipOpenAPIInstallation = true // it serves the merged documents itself
	cfg := &aggregator.Config{
		GenericConfig: &genericapiserver.RecommendedConfig{Config: c, SharedInformerFactory: a.generic.SharedInformerFactory},
		ExtraConfig: aggregator.ExtraConfig{
			ServiceResolver:     serviceResolver{a.objects.services},
			ProxyClientCertFile: s.cfg.FrontProxy.CertFile, ProxyClientKeyFile: s.cfg.FrontProxy.KeyFile,
			RejectForwardingRedirects: true,
		},
	}
	agg, err := cfg.Complete().NewWithDelegate(core)
	if err != nil {
		return nil, err
	}
	client, err := apiregistration.NewForConfig(a.generic.LoopbackClientConfig)
	if err != nil {
		return nil, err
	}
	register := autoregister.NewAutoRegisterController(agg.APIRegistrationInformers.Apiregistration().V1().APIServices(), client)
	own := servedBy(core)
	for _, gv := range own {
		register.AddAPIServiceToSyncOnStart(apiService(gv, builtinGroupPriority, builtinVersion))
	}
	definitions := crds.Informers.Apiextensions().V1().CustomResourceDefinitions().Informer()
	if _, err := definitions.AddEventHandler(registerCRDs(register, definitions.GetStore())); err != nil {
		return nil, err
	}
	all := agg.APIRegistrationInformers.Apiregistration().V1().APIServices().Lister()
	if err := agg.GenericAPIServer.AddBootSequenceHealthChecks(healthz.NamedCheck("autoregister-completion", func(*http.Request) error {
		return areAvailable(own, all)
	})); err != nil {
		return nil, err
	}
	return agg, agg.GenericAPIServer.AddPostStartHook("kube-apiserver-autoregistration", hookFunc(func(ctx context.Context) error {
		go func() {
			if cache.WaitForCacheSync(ctx.Done(), definitions.HasSynced) {
				register.Run(2, ctx.Done())
			}
		}()
		return nil
	}))
}

// areAvailable is an error until each of the group versions has an APIService that the
// aggregator found to be available.
func areAvailable(versions []schema.GroupVersion, all apiregistrationlisters.APIServiceLister) error {
	var missing []string
	for _, gv := range versions {
		svc, err := all.Get(apiServiceName(gv))
		if err != nil || !apiregistrationhelper.IsAPIServiceConditionTrue(svc, apiregistrationv1.Available) {
			missing = append(missing, apiServiceName(gv))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not available yet: %s", strings.Join(missing, ", "))
	}
	return nil
}

// servedBy lists the group versions that a server has paths for.
func servedBy(srv *genericapiserver.GenericAPIServer) []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, p := range srv.ListedPaths() {
		switch parts := strings.Split(strings.Trim(p, "/"), "/"); {
		case len(parts) == 2 && parts[0] == "api":
			out = append(out, schema.GroupVersion{Version: parts[1]})
		case len(parts) == 3 && parts[0] == "apis":
			out = append(out, schema.GroupVersion{Group: parts[1], Version: parts[2]})
		}
	}
	return out
}

func apiServiceName(gv schema.GroupVersion) string { return gv.Version + "." + gv.Group }

func apiService(gv schema.GroupVersion, group, version int32) *apiregistrationv1.APIService {
	if gv.Group == corev1.GroupName {
		group++ // the core group comes first
	}
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: apiServiceName(gv)},
		Spec:       apiregistrationv1.APIServiceSpec{Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: group, VersionPriority: version},
	}
}

// registerCRDs has an APIService for each group version that some CRD serves, and
// none for those that no CRD serves any more.
func registerCRDs(register autoregister.AutoAPIServiceRegistration, all cache.Store) cache.ResourceEventHandler {
	sync := func(obj any) {
		if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = tombstone.Obj
		}
		crd, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
		if !ok {
			return
		}
		for _, v := range crd.Spec.Versions {
			gv := schema.GroupVersion{Group: crd.Spec.Group, Version: v.Name}
			service := apiService(gv, customGroupPriority, customVersion)
			if served(gv, all) {
				register.AddAPIServiceToSync(service)
			} else {
				register.RemoveAPIServiceToSync(service.Name)
			}
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc: sync, DeleteFunc: sync,
		UpdateFunc: func(old, obj any) {
			sync(old) // a version may be gone
			sync(obj)
		},
	}
}

func served(gv schema.GroupVersion, all cache.Store) bool {
	for _, o := range all.List() {
		crd, ok := o.(*apiextensionsv1.CustomResourceDefinition)
		if !ok || crd.Spec.Group != gv.Group {
			continue
		}
		for _, v := range crd.Spec.Versions {
			if v.Name == gv.Version && v.Served {
				return true
			}
		}
	}
	return false
}
