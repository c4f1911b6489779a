package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/resourcequota"
	quota "k8s.io/apiserver/pkg/quota/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
)

// ResourceQuota refuses what would exceed a quota of its namespace, and writes what
// it lets in into the quota's status. It is the library's plugin, which no request of
// a namespace without quotas waits for.
//
// https://kubernetes.io/docs/concepts/policy/resource-quotas/
type ResourceQuota struct {
	*resourcequota.QuotaAdmission
	costs  quota.Configuration
	quotas corelisters.ResourceQuotaLister
	synced func() bool
}

var (
	_ admission.ValidationInterface        = &ResourceQuota{}
	_ initializer.WantsDrainedNotification = &ResourceQuota{}
)

// quotaWorkers is how many namespaces are charged at once.
const quotaWorkers = 5

// NewResourceQuota returns the plugin. costs says what objects cost.
func NewResourceQuota(costs quota.Configuration, quotas corelisters.ResourceQuotaLister, synced func() bool) (*ResourceQuota, error) {
	library, err := resourcequota.NewResourceQuota(nil, quotaWorkers)
	if err != nil {
		return nil, err
	}
	return &ResourceQuota{QuotaAdmission: library, costs: costs, quotas: quotas, synced: synced}, nil
}

// SetDrainedNotification starts the library's evaluator, which ends with the channel.
func (p *ResourceQuota) SetDrainedNotification(drained <-chan struct{}) {
	p.QuotaAdmission.SetDrainedNotification(drained)
	p.SetQuotaConfiguration(p.costs)
}

// Validate charges the quotas of the object's namespace.
func (p *ResourceQuota) Validate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if ns := a.GetNamespace(); ns != "" && p.synced() {
		list, err := p.quotas.ResourceQuotas(ns).List(labels.Everything())
		if err != nil {
			return fmt.Errorf("list the quotas of namespace %s: %w", ns, err)
		}
		if len(list) == 0 {
			return nil
		}
	}
	return p.QuotaAdmission.Validate(ctx, a, o)
}
