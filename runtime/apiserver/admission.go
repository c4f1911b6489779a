package apiserver

import (
	"fmt"
	"io"
	"slices"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	webhookinit "k8s.io/apiserver/pkg/admission/plugin/webhook/initializer"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/dynamic"

	"github.com/gantry-run/gantry/runtime/config"
)

// plugin is an admission plugin under its name.
type plugin struct {
	name string
	// make is nil for a plugin that the library registers itself.
	make func(maker) (admission.Interface, error)
	// optional says that it is on only where the configuration names it.
	optional bool
}

// plugins are all, in upstream's order. docs/admission.md says of each what it does,
// and which of upstream's are not there.
func plugins() []plugin {
	return []plugin{
		{name: lifecycle.PluginName},
		{name: "LimitRanger", make: maker.limitRanger},
		{name: "ServiceAccount", make: maker.serviceAccount},
		{name: "NodeRestriction", make: maker.nodeRestriction},
		{name: "RBACEscalation", make: maker.rbacEscalation},
		{name: "TaintNodesByCondition", make: maker.taintNodes},
		{name: "PodSecurity", make: maker.podSecurity},
		{name: "Priority", make: maker.priority},
		{name: "DefaultTolerationSeconds", make: maker.defaultTolerations},
		{name: config.EventRateLimit, make: maker.eventRateLimit, optional: true},
		{name: "DefaultStorageClass", make: maker.defaultStorageClass},
		{name: "StorageObjectInUseProtection", make: storageProtection},
		{name: "PersistentVolumeClaimResize", make: maker.claimResize},
		{name: "RuntimeClass", make: maker.runtimeClass},
		{name: "CertificateApproval", make: maker.certificateApproval},
		{name: "CertificateSigning", make: maker.certificateSigning},
		{name: "ClusterTrustBundleAttest", make: maker.trustBundleAttest},
		{name: "ResourceClaimAuthorization", make: resourceClaims},
		{name: "CertificateSubjectRestriction", make: certificateSubject},
		{name: "DefaultIngressClass", make: maker.defaultIngressClass},
		{name: config.DenyServiceExternalIPs, make: maker.denyExternalIPs, optional: true},
		{name: "PodTopologyLabels", make: maker.topologyLabels},
		{name: "PodResizeValidator", make: podResize},
		{name: mutatingpolicy.PluginName},
		{name: mutatingwebhook.PluginName},
		{name: validatingpolicy.PluginName},
		{name: validatingwebhook.PluginName},
		{name: resourcequota.PluginName, make: maker.resourceQuota},
	}
}

// admission puts the plugins together: the default ones, and those of the optional
// ones that are enabled.
func (a *assembly) admission(cfg config.Admission) error {
	o := options.NewAdmissionOptions()
	o.Decorators = nil
	var order []string
	for _, p := range plugins() {
		if p.optional && !slices.Contains(cfg.Enable, p.name) {
			continue
		}
		order = append(order, p.name)
		if p.make == nil {
			continue
		}
		check, err := p.make(maker{a, cfg})
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		o.Plugins.Register(p.name, func(io.Reader) (admission.Interface, error) { return check, nil })
	}
	o.RecommendedPluginOrder = order
	dyn, err := dynamic.NewForConfig(a.generic.LoopbackClientConfig)
	if err != nil {
		return err
	}
	auth := webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, a.generic.LoopbackClientConfig, nil)
	return o.ApplyTo(&a.generic.Config, a.generic.SharedInformerFactory, a.loopback, dyn, a.generic.FeatureGate, a.generic.EffectiveVersion,
		webhookinit.NewPluginInitializer(auth, serviceResolver{a.objects.services}))
}
