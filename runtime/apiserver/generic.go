package apiserver

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/pkg/server/filters"
	"k8s.io/apiserver/pkg/server/options"
	serverstorage "k8s.io/apiserver/pkg/server/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	basecompatibility "k8s.io/component-base/compatibility"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/listener"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
)

// KubernetesVersion is the API that is served.
const KubernetesVersion = "1.37.2"

const (
	// storagePrefix is the root of all keys of API objects.
	storagePrefix = "/registry"
	// maxInFlight and maxMutatingInFlight bound what is worked on at once; above
	// them clients are asked to come back.
	maxInFlight         = 800
	maxMutatingInFlight = 400
	// handshakesPerAddress and handshakeTimeout bound connections that are not one yet.
	handshakesPerAddress = 200
	handshakeTimeout     = 10 * time.Second
	// compactionInterval is how much history watches may go back.
	compactionInterval = 5 * time.Minute
	// shutdownDelay is the time between /readyz failing and the end of listening,
	// in which clients learn that this master leaves.
	shutdownDelay = time.Second
	// storeAnswers is how long the store has to answer a server that is to end, and then
	// how often it is asked again.
	storeAnswers = 2 * time.Second
	// watchDrain is how long watches have to end after that.
	watchDrain = 3 * time.Second
)

// effectiveVersion is the library's notion of the version, reporting ours.
type effectiveVersion struct {
	basecompatibility.EffectiveVersion
	gantry string
}

func (v effectiveVersion) Info() *version.Info {
	info := v.EffectiveVersion.Info()
	info.GitVersion = "v" + KubernetesVersion + "+gantry." + v.gantry
	info.Major, info.Minor = "1", "37"
	info.GitTreeState = "clean"
	return info
}

// genericConfig is what all the servers in the chain share.
func (s *Server) genericConfig(scheme *runtime.Scheme, codecs serializer.CodecFactory) (*genericapiserver.RecommendedConfig, *options.EtcdOptions, error) {
	cfg := genericapiserver.NewRecommendedConfig(codecs)
	cfg.EffectiveVersion = effectiveVersion{compatibility.DefaultBuildEffectiveVersion(), s.version}
	cfg.FeatureGate = utilfeature.DefaultFeatureGate
	cfg.AggregatedDiscoveryGroupManager = aggregated.NewResourceManager("apis")
	cfg.LongRunningFunc = filters.BasicLongRunningRequestCheck(
		sets.NewString("watch", "proxy"), sets.NewString("attach", "exec", "proxy", "log", "portforward"))
	cfg.MaxRequestsInFlight, cfg.MaxMutatingRequestsInFlight = maxInFlight, maxMutatingInFlight
	cfg.EnableProfiling, cfg.GoawayChance = s.cfg.Profile, s.cfg.GoawayChance
	cfg.ShutdownDelayDuration, cfg.ShutdownWatchTerminationGracePeriod = shutdownDelay, watchDrain
	cfg.ExternalAddress = net.JoinHostPort(s.cfg.AdvertiseAddress, portOf(s.cfg.BindAddress))
	setOpenAPI(&cfg.Config)
	if err := s.secureServing(&cfg.Config); err != nil {
		return nil, nil, err
	}
	etcd, err := s.etcdOptions(&cfg.Config, scheme, codecs)
	return cfg, etcd, err
}

func portOf(hostport string) string {
	_, port, _ := net.SplitHostPort(hostport)
	return port
}

func (s *Server) secureServing(cfg *genericapiserver.Config) error {
	host, port, err := net.SplitHostPort(s.cfg.BindAddress)
	if err != nil {
		return fmt.Errorf("bindAddress: %w", err)
	}
	so := options.NewSecureServingOptions()
	if so.BindPort, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("bindAddress: port %q: %w", port, err)
	}
	so.BindAddress = net.ParseIP(host)
	so.ServerCert.CertKey = options.CertKey{CertFile: s.cfg.Serving.CertFile, KeyFile: s.cfg.Serving.KeyFile}
	so.HTTP2MaxStreamsPerConnection = 1000
	so.MinTLSVersion = "VersionTLS12"
	if err := so.WithLoopback().ApplyTo(&cfg.SecureServing, &cfg.LoopbackClientConfig); err != nil {
		return fmt.Errorf("serving credentials: %w", err)
	}
	for _, path := range []string{s.cfg.ClientCAFile, s.cfg.FrontProxy.CAFile} {
		if path == "" {
			continue
		}
		ca, err := dynamiccertificates.NewDynamicCAContentFromFile("client-ca", path)
		if err != nil {
			return fmt.Errorf("client CA %s: %w", path, err)
		}
		if cfg.SecureServing.ClientCA == nil {
			cfg.SecureServing.ClientCA = ca
		} else {
			cfg.SecureServing.ClientCA = dynamiccertificates.NewUnionCAContentProvider(cfg.SecureServing.ClientCA, ca)
		}
	}
	cfg.SecureServing.Listener = listener.New(cfg.SecureServing.Listener, listener.Limits{
		Connections: s.cfg.ConnectionsPerAddress, Handshakes: handshakesPerAddress, HandshakeTimeout: handshakeTimeout,
	})
	cfg.LoopbackClientConfig.QPS = -1
	cfg.LoopbackClientConfig.DisableCompression = true
	cfg.LoopbackClientConfig.ContentType = runtime.ContentTypeProtobuf
	cfg.LoopbackClientConfig.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return nil
}

func (s *Server) etcdOptions(cfg *genericapiserver.Config, scheme *runtime.Scheme, codecs serializer.CodecFactory) (*options.EtcdOptions, error) {
	eo := options.NewEtcdOptions(storagebackend.NewDefaultConfig(storagePrefix, nil))
	eo.StorageConfig.Transport = storagebackend.TransportConfig{
		ServerList: s.cfg.Etcd.Endpoints, TrustedCAFile: s.cfg.Etcd.CAFile,
		CertFile: s.cfg.Etcd.CertFile, KeyFile: s.cfg.Etcd.KeyFile,
	}
	eo.StorageConfig.CompactionInterval = compactionInterval
	// Counting objects and asking for the size of the database costs an idle
	// cluster more than all its other work.
	eo.StorageConfig.CountMetricPollPeriod, eo.StorageConfig.DBMetricPollInterval = 0, 0
	eo.DefaultStorageMediaType = runtime.ContentTypeProtobuf
	eo.EncryptionProviderConfigFilepath = s.cfg.EncryptionConfigFile
	eo.EncryptionProviderConfigAutomaticReload = s.cfg.EncryptionConfigFile != ""
	encoding := serverstorage.NewDefaultResourceEncodingConfig(scheme)
	for _, k := range s.table {
		gr := schema.GroupResource{Group: k.GVK.Group, Resource: k.Resource}
		if k.NoWatchCache {
			eo.WatchCacheSizes = append(eo.WatchCacheSizes, gr.String()+"#0")
		}
		encoding.SetResourceEncoding(gr, k.GVK.GroupVersion(), schema.GroupVersion{Group: k.GVK.Group, Version: runtime.APIVersionInternal})
	}
	resources := resourceConfig(s.table)
	factory := serverstorage.NewDefaultStorageFactory(eo.StorageConfig, eo.DefaultStorageMediaType, codecs, encoding, resources, nil)
	if err := eo.ApplyWithStorageFactoryTo(factory, cfg); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	cfg.MergedResourceConfig = resources
	return eo, nil
}

func resourceConfig(table []kind.Kind) *serverstorage.ResourceConfig {
	rc := serverstorage.NewResourceConfig()
	for _, k := range table {
		for _, version := range registry.ServedVersions(k) {
			rc.EnableVersions(schema.GroupVersion{Group: k.GVK.Group, Version: version})
		}
	}
	return rc
}

// hookFunc adapts a function of a context to a post-start hook: the hook has
// finished, and /readyz may succeed, when it returns.
func hookFunc(f func(ctx context.Context) error) genericapiserver.PostStartHookFunc {
	return func(h genericapiserver.PostStartHookContext) error { return f(h.Context) }
}
