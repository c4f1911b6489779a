package apiserver

import (
	"context"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
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

	ours "github.com/gantry-run/gantry/runtime/apiserver/admission"
	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
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
		{"ServiceAccount", &ours.ServiceAccount{Account: func(ctx context.Context, ns, name string) (*corev1.ServiceAccount, error) {
			return readThrough[*corev1.ServiceAccount](ctx, a.objects.serviceAccounts, ns, name)
		}}},
		{"Priority", &ours.Priority{
			Class: func(ctx context.Context, name string) (*schedulingv1.PriorityClass, error) {
				return readThrough[*schedulingv1.PriorityClass](ctx, a.objects.priorityClasses, "", name)
			},
			Default: a.defaultPriority,
		}},
		{"DefaultTolerationSeconds", ours.DefaultTolerations{}},
		{"NodeRestriction", &ours.NodeRestriction{Objects: newest{a.objects}, All: a.generic.Authorization.Authorizer}},
		{"CertificateApproval", &ours.CertificateApproval{All: a.generic.Authorization.Authorizer}},
		{"CertificateSigning", &ours.CertificateSigning{All: a.generic.Authorization.Authorizer, Now: time.Now}},
		{"ClusterTrustBundleAttest", &ours.ClusterTrustBundleAttest{All: a.generic.Authorization.Authorizer}},
		{"CertificateSubjectRestriction", ours.CertificateSubjectRestriction{}},
		{"RBACEscalation", rbac.NewEscalation(a.roles, a.generic.Authorization.Authorizer)},
	}
}

func (a *assembly) defaultPriority(ctx context.Context) (*schedulingv1.PriorityClass, error) {
	list, err := registry.ListWhere[*schedulingv1.PriorityClassList](ctx, a.objects.priorityClasses, "", nil, registry.Cached)
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		if list.Items[i].GlobalDefault {
			return &list.Items[i], nil
		}
	}
	return nil, nil
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
		webhookinit.NewPluginInitializer(auth, serviceResolver{a.objects.services}))
}
