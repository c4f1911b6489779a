package deployment

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// This file is the arithmetic of rollouts: from replica counts to replica counts,
// with no API and no clock.

// size is a replica set reduced to what a rollout decides on.
type size struct {
	want, available int32
}

// bounds are how far a rolling update may go over and under the desired number.
type bounds struct {
	surge, unavailable int32
}

// boundsOf resolves maxSurge (rounded up) and maxUnavailable (rounded down). They
// are never both zero, since then no rollout could move.
func boundsOf(d *appsv1.Deployment) (bounds, error) {
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType || d.Spec.Strategy.RollingUpdate == nil {
		return bounds{}, nil
	}
	u, want := d.Spec.Strategy.RollingUpdate, int(ptr.Deref(d.Spec.Replicas, 1))
	surge, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(u.MaxSurge, intstr.FromInt32(0)), want, true)
	if err != nil {
		return bounds{}, fmt.Errorf("maxSurge: %w", err)
	}
	unavailable, err := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(u.MaxUnavailable, intstr.FromInt32(0)), want, false)
	if err != nil {
		return bounds{}, fmt.Errorf("maxUnavailable: %w", err)
	}
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return bounds{surge: int32(surge), unavailable: int32(min(unavailable, want))}, nil
}

// growNew is the size of the new set: as many more as the surge leaves room for.
func growNew(want int32, b bounds, newSet size, old []size) int32 {
	if newSet.want >= want {
		return want
	}
	total := newSet.want
	for _, o := range old {
		total += o.want
	}
	room := max(0, want+b.surge-total)
	return newSet.want + min(room, want-newSet.want)
}

// shrinkOld is the size of each old set, given oldest first. Pods that are not
// available go first, since they cost nothing; the others go only as far as
// enough stay available, counting new pods only once they are.
func shrinkOld(want int32, b bounds, newSet size, old []size) []int32 {
	sizes := make([]int32, len(old))
	total, available := newSet.want, newSet.available
	for i, o := range old {
		sizes[i] = o.want
		total += o.want
		// A set that was just made smaller has not said yet that it has fewer available.
		available += min(o.available, o.want)
	}
	least := want - b.unavailable
	// What may go in all, with the new set's unavailable pods taken as still needed.
	budget := total - least - (newSet.want - newSet.available)
	if budget <= 0 {
		return sizes
	}
	for i, o := range old {
		n := min(max(0, budget), max(0, o.want-o.available))
		sizes[i] -= n
		budget -= n
	}
	budget = available - least
	for i := range old {
		n := min(max(0, budget), sizes[i])
		sizes[i] -= n
		budget -= n
	}
	return sizes
}

// share is one of several active sets among which a change of the deployment's
// size, made in the middle of a rollout, is shared out.
type share struct {
	want int32
	// max is the deployment's limit (replicas and surge) when the set was last
	// scaled (0: not known).
	max int32
	// age orders sets of equal size: lower is older.
	age int
}

// proportional shares the difference between the sets' total and limit among
// them by their sizes, the largest first, so that a scaling keeps the ratio of new
// to old. What rounding leaves goes to the largest. The order is the caller's.
func proportional(limit int32, sets []share) []int32 {
	out := make([]int32, len(sets))
	order := make([]int, len(sets))
	var total int32
	for i, s := range sets {
		out[i], order[i] = s.want, i
		total += s.want
	}
	todo := limit - total
	if todo == 0 {
		return out
	}
	slices.SortStableFunc(order, func(a, b int) int {
		// Equal sizes: newer grow first, older shrink first.
		byAge := cmp.Compare(sets[a].age, sets[b].age)
		if todo > 0 {
			byAge = -byAge
		}
		return cmp.Or(cmp.Compare(sets[b].want, sets[a].want), byAge)
	})
	left := todo
	for _, i := range order {
		if total == 0 {
			break
		}
		before := sets[i].max
		if before == 0 {
			before = total
		}
		// want × limit ÷ before, to the nearest, is the size that keeps the ratio.
		fair := int32((2*int64(sets[i].want)*int64(limit)+int64(before))/(2*int64(before))) - sets[i].want
		if todo > 0 {
			fair = min(max(fair, 0), left)
		} else {
			fair = max(min(fair, 0), left, -sets[i].want)
		}
		out[i] += fair
		left -= fair
	}
	for _, i := range order {
		if left == 0 {
			break
		}
		n := max(left, -out[i])
		out[i] += n
		left -= n
	}
	return out
}

// Annotations of replica sets, those of upstream, so that kubectl rollout works.
const (
	revisionAnnotation        = "deployment.kubernetes.io/revision"
	revisionHistoryAnnotation = "deployment.kubernetes.io/revision-history"
	desiredAnnotation         = "deployment.kubernetes.io/desired-replicas"
	maxAnnotation             = "deployment.kubernetes.io/max-replicas"
)

// revision of a replica set; 0 when it has none.
func revision(annotations map[string]string) int64 {
	n, err := strconv.ParseInt(annotations[revisionAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func maxRevision(sets []*appsv1.ReplicaSet) int64 {
	var n int64
	for _, rs := range sets {
		n = max(n, revision(rs.Annotations))
	}
	return n
}
