package deployment

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// scaleOnly follows the desired number while the rollout is paused.
func (r *Controller) scaleOnly(ctx context.Context, d *appsv1.Deployment, s sets) (sets, error) {
	s, err := r.scale(ctx, d, s)
	return s, errors.Join(err, r.cleanUp(ctx, d, s))
}

// rollOut makes one step towards all pods being of the present template.
func (r *Controller) rollOut(ctx context.Context, d *appsv1.Deployment, s sets) (sets, error) {
	if resized(d, s) { // in the middle of a rollout: first share the difference out
		return r.scale(ctx, d, s)
	}
	var err error
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		s, err = r.recreate(ctx, d, s)
	} else {
		s, err = r.roll(ctx, d, s)
	}
	if err != nil {
		return s, err
	}
	if st, _ := statusOf(d, s, r.clock.Now()); complete(d, &st) {
		return s, r.cleanUp(ctx, d, s)
	}
	return s, nil
}

// resized says whether the deployment's size changed since its sets were scaled.
func resized(d *appsv1.Deployment, s sets) bool {
	for _, rs := range s.all() {
		if ptr.Deref(rs.Spec.Replicas, 1) == 0 {
			continue
		}
		n, err := strconv.Atoi(rs.Annotations[desiredAnnotation])
		if err == nil && int32(n) != ptr.Deref(d.Spec.Replicas, 1) {
			return true
		}
	}
	return false
}

func (r *Controller) roll(ctx context.Context, d *appsv1.Deployment, s sets) (sets, error) {
	b, err := boundsOf(d)
	if err != nil {
		return s, fmt.Errorf("Deployment %s/%s: %w", d.Namespace, d.Name, err)
	}
	want := ptr.Deref(d.Spec.Replicas, 1)
	if s, err = r.ensureNew(ctx, d, s, growNew(want, b, sizeOf(s.new), sizesOf(s.old))); err != nil {
		return s, err
	}
	if grown := growNew(want, b, sizeOf(s.new), sizesOf(s.old)); grown != ptr.Deref(s.new.Spec.Replicas, 1) {
		s.new, err = r.resize(ctx, d, s.new, grown)
		return s, err // old sets shrink when the new pods are seen
	}
	for i, n := range shrinkOld(want, b, sizeOf(s.new), sizesOf(s.old)) {
		if s.old[i], err = r.resize(ctx, d, s.old[i], n); err != nil {
			return s, err
		}
	}
	return s, nil
}

// recreate stops all old pods before the first new one starts.
func (r *Controller) recreate(ctx context.Context, d *appsv1.Deployment, s sets) (sets, error) {
	stopped := false
	for i, rs := range s.old {
		if ptr.Deref(rs.Spec.Replicas, 1) == 0 {
			continue
		}
		shrunk, err := r.resize(ctx, d, rs, 0)
		if err != nil {
			return s, err
		}
		s.old[i], stopped = shrunk, true
	}
	if stopped {
		return s, nil
	}
	run, err := r.oldPodsRun(s)
	if err != nil || run {
		return s, err
	}
	want := ptr.Deref(d.Spec.Replicas, 1)
	if s, err = r.ensureNew(ctx, d, s, want); err != nil {
		return s, err
	}
	s.new, err = r.resize(ctx, d, s.new, want)
	return s, err
}

// ensureNew makes the set of the present template, of the given size, or brings
// annotations and minReadySeconds of the one there up to date.
func (r *Controller) ensureNew(ctx context.Context, d *appsv1.Deployment, s sets, size int32) (sets, error) {
	rev := maxRevision(s.old) + 1
	var err error
	if s.new != nil {
		err = r.refreshNew(ctx, d, &s, rev)
	} else {
		err = r.createNew(ctx, d, &s, rev, size)
	}
	if err != nil {
		return s, err
	}
	return s, r.noteRevision(ctx, d, s.new.Annotations[revisionAnnotation])
}

func (r *Controller) refreshNew(ctx context.Context, d *appsv1.Deployment, s *sets, rev int64) error {
	if progressingOf(&d.Status) == nil && d.Spec.ProgressDeadlineSeconds != nil {
		set(&d.Status, progressing(corev1.ConditionTrue, reasonFoundSet, "Found new replica set %q", s.new.Name), r.clock.Now())
	}
	updated := s.new.DeepCopy()
	changed := annotate(updated, d, rev)
	if updated.Spec.MinReadySeconds != d.Spec.MinReadySeconds {
		updated.Spec.MinReadySeconds, changed = d.Spec.MinReadySeconds, true
	}
	if !changed {
		return nil
	}
	made, err := r.client.AppsV1().ReplicaSets(d.Namespace).Update(ctx, updated, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("update ReplicaSet %s/%s: %w", updated.Namespace, updated.Name, err)
	}
	s.new = made
	return nil
}

func (r *Controller) createNew(ctx context.Context, d *appsv1.Deployment, s *sets, rev int64, size int32) error {
	hash, err := templateHash(&d.Spec.Template, d.Status.CollisionCount)
	if err != nil {
		return err
	}
	rs := newSet(d, hash, rev)
	rs.Spec.Replicas = &size
	b, err := boundsOf(d)
	if err != nil {
		return err
	}
	noteSize(rs, ptr.Deref(d.Spec.Replicas, 1), ptr.Deref(d.Spec.Replicas, 1)+b.surge)
	made, err := r.client.AppsV1().ReplicaSets(d.Namespace).Create(ctx, rs, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return r.collide(ctx, d, rs.Name, s)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Errorf("create ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err)
	case err != nil:
		set(&d.Status, progressing(corev1.ConditionFalse, reasonSetFailed, "Failed to create new replica set %q: %v", rs.Name, err), r.clock.Now())
		r.events.Eventf(d, corev1.EventTypeWarning, reasonSetFailed, "Failed to create new replica set %q: %v", rs.Name, err)
		return fmt.Errorf("create ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err)
	}
	s.new = made
	if size > 0 {
		r.events.Eventf(d, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled up replica set %s from 0 to %d", made.Name, size)
	}
	if d.Spec.ProgressDeadlineSeconds != nil {
		set(&d.Status, progressing(corev1.ConditionTrue, reasonNewSet, "Created new replica set %q", made.Name), r.clock.Now())
	}
	return nil
}

// collide decides about a set that already has the new one's name: either it is
// the new one and the cache is behind, or another template has the same hash and
// the next attempt needs another name.
func (r *Controller) collide(ctx context.Context, d *appsv1.Deployment, name string, s *sets) error {
	existing, err := r.client.AppsV1().ReplicaSets(d.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read ReplicaSet %s/%s: %w", d.Namespace, name, err)
	}
	if ref := metav1.GetControllerOfNoCopy(existing); ref != nil && ref.UID == d.UID && sameTemplate(&existing.Spec.Template, &d.Spec.Template) {
		s.new = existing
		return nil
	}
	var collisions int32
	if d.Status.CollisionCount != nil {
		collisions = *d.Status.CollisionCount
	}
	collisions++
	d.Status.CollisionCount = &collisions
	return fmt.Errorf("the name %s/%s is taken by another ReplicaSet: collision %d, another name is tried", d.Namespace, name, collisions)
}

// noteRevision shows the revision on the deployment.
func (r *Controller) noteRevision(ctx context.Context, d *appsv1.Deployment, rev string) error {
	if d.Annotations[revisionAnnotation] == rev {
		return nil
	}
	updated := d.DeepCopy()
	updated.Annotations = with(d.Annotations, revisionAnnotation, rev)
	made, err := r.client.AppsV1().Deployments(d.Namespace).Update(ctx, updated, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("write the revision of Deployment %s/%s: %w", d.Namespace, d.Name, err)
	}
	// The status is written next: with the new version, and conditions already set.
	d.ObjectMeta = made.ObjectMeta
	return nil
}

// scale brings a changed size to the sets: to the only active one, or shared out.
func (r *Controller) scale(ctx context.Context, d *appsv1.Deployment, s sets) (sets, error) {
	b, err := boundsOf(d)
	if err != nil {
		return s, fmt.Errorf("Deployment %s/%s: %w", d.Namespace, d.Name, err)
	}
	want := ptr.Deref(d.Spec.Replicas, 1)
	var active []*appsv1.ReplicaSet
	for _, rs := range s.all() {
		if ptr.Deref(rs.Spec.Replicas, 1) > 0 {
			active = append(active, rs)
		}
	}
	put := func(rs *appsv1.ReplicaSet, n int32) error {
		made, err := r.resize(ctx, d, rs, n)
		if err != nil {
			return err
		}
		if s.new != nil && made.UID == s.new.UID {
			s.new = made
		} else {
			s.replace(made)
		}
		return nil
	}
	if len(active) == 0 && s.new != nil {
		active = append(active, s.new)
	}
	switch {
	case len(active) == 0:
		return s, nil
	case len(active) == 1:
		return s, put(active[0], want)
	}
	limit := int32(0)
	if want > 0 {
		limit = want + b.surge
	}
	shares := make([]share, len(active))
	for i, rs := range active {
		most, _ := strconv.Atoi(rs.Annotations[maxAnnotation]) // 0: not known
		shares[i] = share{want: ptr.Deref(rs.Spec.Replicas, 1), max: int32(most), age: i}
	}
	for i, n := range proportional(limit, shares) {
		if err := put(active[i], n); err != nil {
			return s, err
		}
	}
	return s, nil
}

// resize writes a set's size and the sizes it was decided by.
func (r *Controller) resize(ctx context.Context, d *appsv1.Deployment, rs *appsv1.ReplicaSet, n int32) (*appsv1.ReplicaSet, error) {
	b, err := boundsOf(d)
	if err != nil {
		return rs, err
	}
	want, was := ptr.Deref(d.Spec.Replicas, 1), ptr.Deref(rs.Spec.Replicas, 1)
	updated := rs.DeepCopy()
	noted := noteSize(updated, want, want+b.surge)
	if was == n && !(noted && n > 0) {
		return rs, nil
	}
	updated.Spec.Replicas = &n
	made, err := r.client.AppsV1().ReplicaSets(rs.Namespace).Update(ctx, updated, metav1.UpdateOptions{})
	if err != nil {
		return rs, fmt.Errorf("scale ReplicaSet %s/%s to %d: %w", rs.Namespace, rs.Name, n, err)
	}
	if was != n {
		way := "up"
		if n < was {
			way = "down"
		}
		r.events.Eventf(d, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", way, rs.Name, was, n)
	}
	return made, nil
}

// cleanUp deletes old sets beyond the history limit.
func (r *Controller) cleanUp(ctx context.Context, d *appsv1.Deployment, s sets) error {
	for _, rs := range expired(d, s.old) {
		err := r.client.AppsV1().ReplicaSets(rs.Namespace).Delete(ctx, rs.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(rs.UID))})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("delete old ReplicaSet %s/%s: %w", rs.Namespace, rs.Name, err)
		}
	}
	return nil
}
