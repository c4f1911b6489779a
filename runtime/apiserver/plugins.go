package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/utils/clock"

	ours "github.com/gantry-run/gantry/runtime/apiserver/admission"
	"github.com/gantry-run/gantry/runtime/apiserver/rbac"
	"github.com/gantry-run/gantry/runtime/apiserver/registry"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/quota"
)

// maker makes the plugins that are ours, each with where it finds what it looks up.
// What every pod is checked against comes from memory; what few objects name is read
// where it is stored.
type maker struct {
	*assembly
	cfg config.Admission
}

func (a maker) limitRanger() (admission.Interface, error) {
	shared := a.generic.SharedInformerFactory.Core().V1().LimitRanges()
	find := ours.NewLimitRanges(
		func(ns string) ([]*corev1.LimitRange, error) {
			return shared.Lister().LimitRanges(ns).List(labels.Everything())
		},
		shared.Informer().HasSynced,
		func(ctx context.Context, ns string) ([]*corev1.LimitRange, error) {
			list, err := registry.ListWhere[*corev1.LimitRangeList](ctx, a.objects.limitRanges, ns, nil, registry.Fresh)
			if err != nil {
				return nil, err
			}
			return pointers(list.Items), nil
		}, clock.RealClock{})
	return &ours.LimitRanger{Limits: find.Of}, nil
}

func pointers[T any](list []T) []*T {
	out := make([]*T, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out
}

func (a maker) serviceAccount() (admission.Interface, error) {
	return &ours.ServiceAccount{Account: func(ctx context.Context, ns, name string) (*corev1.ServiceAccount, error) {
		return readThrough[*corev1.ServiceAccount](ctx, a.objects.serviceAccounts, ns, name)
	}}, nil
}

func (a maker) nodeRestriction() (admission.Interface, error) {
	return &ours.NodeRestriction{Objects: newest{a.objects}, All: a.generic.Authorization.Authorizer}, nil
}

func (a maker) certificateApproval() (admission.Interface, error) {
	return &ours.CertificateApproval{All: a.generic.Authorization.Authorizer}, nil
}

func (a maker) certificateSigning() (admission.Interface, error) {
	return &ours.CertificateSigning{All: a.generic.Authorization.Authorizer, Now: time.Now}, nil
}

func (a maker) trustBundleAttest() (admission.Interface, error) {
	return &ours.ClusterTrustBundleAttest{All: a.generic.Authorization.Authorizer}, nil
}

func resourceClaims(a maker) (admission.Interface, error) {
	return &ours.ResourceClaimAuthorization{
		All: a.generic.Authorization.Authorizer,
		Namespace: func(ctx context.Context, name string) (*corev1.Namespace, error) {
			return readThrough[*corev1.Namespace](ctx, a.objects.namespaces, "", name)
		},
	}, nil
}

func certificateSubject(maker) (admission.Interface, error) {
	return ours.CertificateSubjectRestriction{}, nil
}

func (a maker) rbacEscalation() (admission.Interface, error) {
	return rbac.NewEscalation(a.roles, a.generic.Authorization.Authorizer), nil
}

func (a maker) taintNodes() (admission.Interface, error) {
	return ours.TaintNodesByCondition{}, nil
}

func (a maker) podSecurity() (admission.Interface, error) {
	var configuration []byte
	if file := a.cfg.PodSecurityConfigFile; file != "" {
		var err error
		if configuration, err = os.ReadFile(file); err != nil {
			return nil, err
		}
		if len(configuration) == 0 { // the library takes that for none
			return nil, fmt.Errorf("%s is empty", file)
		}
	}
	return ours.NewPodSecurity(configuration, ours.PodSecuritySources{
		Namespace: func(ctx context.Context, name string) (*corev1.Namespace, error) {
			return readThrough[*corev1.Namespace](ctx, a.objects.namespaces, "", name)
		},
		Pods: func(ctx context.Context, ns string) ([]*corev1.Pod, error) {
			list, err := registry.ListWhere[*corev1.PodList](ctx, a.objects.pods, ns, nil, registry.Cached)
			if err != nil {
				return nil, err
			}
			return pointers(list.Items), nil
		},
	}, registerMetric)
}

// registerMetric serves a metric at /metrics. Of two servers in one process, as in
// tests, the first one's are served.
func registerMetric(m metrics.Registerable) error {
	err := legacyregistry.Register(m)
	if there := (prometheus.AlreadyRegisteredError{}); errors.As(err, &there) {
		return nil
	}
	return err
}

func (a maker) priority() (admission.Interface, error) {
	return &ours.Priority{
		Class: func(ctx context.Context, name string) (*schedulingv1.PriorityClass, error) {
			return readThrough[*schedulingv1.PriorityClass](ctx, a.objects.priorityClasses, "", name)
		},
		Default: a.defaultPriority,
	}, nil
}

func (a maker) defaultPriority(ctx context.Context) (*schedulingv1.PriorityClass, error) {
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

func (a maker) defaultTolerations() (admission.Interface, error) {
	return ours.DefaultTolerations{}, nil
}

func (a maker) eventRateLimit() (admission.Interface, error) {
	return ours.NewEventRateLimit(a.cfg.EventRateLimits, clock.RealClock{}), nil
}

func (a maker) defaultStorageClass() (admission.Interface, error) {
	return &ours.DefaultStorageClass{Classes: func(ctx context.Context) ([]storagev1.StorageClass, error) {
		list, err := registry.ListWhere[*storagev1.StorageClassList](ctx, a.objects.storageClasses, "", nil, registry.Cached)
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}}, nil
}

func storageProtection(maker) (admission.Interface, error) {
	return ours.StorageObjectInUseProtection{}, nil
}

func (a maker) claimResize() (admission.Interface, error) {
	return &ours.PersistentVolumeClaimResize{Class: func(ctx context.Context, name string) (*storagev1.StorageClass, error) {
		return readThrough[*storagev1.StorageClass](ctx, a.objects.storageClasses, "", name)
	}}, nil
}

func (a maker) runtimeClass() (admission.Interface, error) {
	return &ours.RuntimeClass{Class: func(ctx context.Context, name string) (*nodev1.RuntimeClass, error) {
		return registry.Read[*nodev1.RuntimeClass](ctx, a.objects.runtimeClasses, "", name, registry.Fresh)
	}}, nil
}

func (a maker) defaultIngressClass() (admission.Interface, error) {
	return &ours.DefaultIngressClass{Classes: func(ctx context.Context) ([]networkingv1.IngressClass, error) {
		list, err := registry.ListWhere[*networkingv1.IngressClassList](ctx, a.objects.ingressClasses, "", nil, registry.Fresh)
		if err != nil {
			return nil, err
		}
		return list.Items, nil
	}}, nil
}

func (a maker) denyExternalIPs() (admission.Interface, error) {
	return ours.DenyServiceExternalIPs{}, nil
}

func (a maker) topologyLabels() (admission.Interface, error) {
	return &ours.PodTopologyLabels{Node: func(ctx context.Context, name string) (*corev1.Node, error) {
		return registry.Read[*corev1.Node](ctx, a.objects.nodes, "", name, registry.Cached)
	}}, nil
}

func podResize(a maker) (admission.Interface, error) {
	return &ours.PodResizeValidator{Node: func(ctx context.Context, name string) (*corev1.Node, error) {
		return registry.Read[*corev1.Node](ctx, a.objects.nodes, "", name, registry.Cached)
	}}, nil
}

func (a maker) resourceQuota() (admission.Interface, error) {
	shared := a.generic.SharedInformerFactory.Core().V1().ResourceQuotas()
	return ours.NewResourceQuota(quota.ForAdmission(clock.RealClock{}), shared.Lister(), shared.Informer().HasSynced)
}
