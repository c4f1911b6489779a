package apiserver

import (
	"io"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle"
	mutatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	validatingpolicy "k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	webhookinit "k8s.io/apiserver/pkg/admission/plugin/webhook/initializer"
	mutatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	validatingwebhook "k8s.io/apiserver/pkg/admission/plugin/webhook/validating"
	"k8s.io/apiserver/pkg/server/options"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/dynamic"

	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
)

// plugin is an admission plugin of ours under its name.
type plugin struct {
	name  string
	check admission.Interface
}

// ourPlugins are asked after the namespace's life cycle and before policies and
// webhooks, in this order.
func (a *assembly) ourPlugins() []plugin {
	return []plugin{
		{"RBACEscalation", rbac.NewEscalation(a.roles, a.generic.Authorization.Authorizer)},
	}
}

func (a *assembly) admission() error {
	o := options.NewAdmissionOptions()
	o.Decorators = nil
	order := []string{lifecycle.PluginName}
	for _, p := range a.ourPlugins() {
		o.Plugins.Register(p.name, func(io.Reader) (admission.Interface, error) { return p.check, nil })
		order = append(order, p.name)
	}
	o.RecommendedPluginOrder = append(order, mutatingpolicy.PluginName, mutatingwebhook.PluginName, validatingpolicy.PluginName, validatingwebhook.PluginName)
	dyn, err := dynamic.NewForConfig(a.generic.LoopbackClientConfig)
	if err != nil {
		return err
	}
	auth := webhook.NewDefaultAuthenticationInfoResolverWrapper(nil, nil, a.generic.LoopbackClientConfig, nil)
	return o.ApplyTo(&a.generic.Config, a.generic.SharedInformerFactory, a.loopback, dyn, a.generic.FeatureGate, a.generic.EffectiveVersion,
		webhookinit.NewPluginInitializer(auth, serviceResolver{a.stores}))
}
