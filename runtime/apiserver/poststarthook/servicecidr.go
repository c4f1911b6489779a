package poststarthook

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/runtime/addr"
)

// defaultServiceCIDR is the name of the ranges that the cluster was configured with.
const defaultServiceCIDR = "kubernetes"

// serviceCIDR makes the configured ranges known to the API, and says at once that
// addresses may be given of them: the first Services need some before any controller
// runs. One that says otherwise already is left alone.
func serviceCIDR(ctx context.Context, c kubernetes.Interface, ranges addr.Prefixes) error {
	api := c.NetworkingV1().ServiceCIDRs()
	cidr := &networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: defaultServiceCIDR}}
	for _, r := range ranges {
		cidr.Spec.CIDRs = append(cidr.Spec.CIDRs, r.Masked().String())
	}
	if err := ensure(ctx, cidr.Name, cidr, api); err != nil {
		return err
	}
	have, err := api.Get(ctx, cidr.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read ServiceCIDR %s: %w", cidr.Name, err)
	}
	if have.DeletionTimestamp != nil || !slices.Equal(have.Spec.CIDRs, cidr.Spec.CIDRs) ||
		meta.FindStatusCondition(have.Status.Conditions, networkingv1.ServiceCIDRConditionReady) != nil {
		return nil
	}
	meta.SetStatusCondition(&have.Status.Conditions, metav1.Condition{
		Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue, Message: "Kubernetes default Service CIDR is ready",
	})
	if _, err := api.UpdateStatus(ctx, have, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write the status of ServiceCIDR %s: %w", cidr.Name, err)
	}
	return nil
}
