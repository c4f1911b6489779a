package kinds

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func statefulSet() Kind {
	return Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		Resource:   "statefulsets",
		ShortNames: []string{"sts"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,
		Scale: scale(
			func(s *appsv1.StatefulSet) (int32, int32) { return deref(s.Spec.Replicas, 1), s.Status.Replicas },
			func(s *appsv1.StatefulSet, n int32) { s.Spec.Replicas = &n },
			func(s *appsv1.StatefulSet) string { return selectorString(s.Spec.Selector) },
		),

		Default:        on(defaultStatefulSet),
		Validate:       check(validateStatefulSet),
		ValidateUpdate: checkUpdate(validateStatefulSetUpdate),
		ValidateStatusUpdate: checkUpdate(func(s, _ *appsv1.StatefulSet) field.ErrorList {
			st, path := s.Status, field.NewPath("status")
			errs := replicaCounts(st.Replicas, st.Replicas, st.ReadyReplicas, st.AvailableReplicas, path)
			errs = append(errs, atMost(st.CurrentReplicas, st.Replicas, path.Child("currentReplicas"), "status.replicas")...)
			return append(errs, atMost(st.UpdatedReplicas, st.Replicas, path.Child("updatedReplicas"), "status.replicas")...)
		}),
		// A stateful set's name becomes its pods' host names.
		ValidateName: dnsLabelName,

		Columns: columns("Name", "Ready", "Age", "+Containers", "+Images"),
		Cells: cells(func(s *appsv1.StatefulSet, now time.Time) []any {
			names, refs := images(s.Spec.Template.Spec.Containers)
			return []any{s.Name, fmt.Sprintf("%d/%d", s.Status.ReadyReplicas, deref(s.Spec.Replicas, 1)), age(s.ObjectMeta, now), names, refs}
		}),
	}
}

func defaultStatefulSet(set *appsv1.StatefulSet) {
	s := &set.Spec
	setDefaultPtr(&s.Replicas, 1)
	setDefaultPtr(&s.RevisionHistoryLimit, defaultHistory)
	setDefault(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	setDefault(&s.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		setDefaultPtr(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		setDefaultPtr(&s.UpdateStrategy.RollingUpdate.Partition, 0)
		setDefaultPtr(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
	}
	setDefaultPtr(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	setDefault(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	setDefault(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	for i := range s.VolumeClaimTemplates {
		c := &s.VolumeClaimTemplates[i]
		c.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
		defaultClaim(c)
	}
	defaultTemplate(&s.Template)
}

func validateStatefulSet(set *appsv1.StatefulSet) field.ErrorList {
	s, spec := &set.Spec, field.NewPath("spec")
	errs := nonNegativePtr(s.Replicas, spec.Child("replicas"))
	errs = append(errs, workloadSelector(s.Selector, s.Template.Labels, spec)...)
	errs = append(errs, validateSetTemplate(s, spec)...)
	errs = append(errs, noDeadline(&s.Template, spec)...)
	errs = append(errs, oneOf(s.PodManagementPolicy, spec.Child("podManagementPolicy"), appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)...)
	errs = append(errs, nonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	errs = append(errs, nonNegativePtr(s.RevisionHistoryLimit, spec.Child("revisionHistoryLimit"))...)
	if s.Ordinals != nil {
		errs = append(errs, nonNegative(s.Ordinals.Start, spec.Child("ordinals", "start"))...)
	}

	strategy := spec.Child("updateStrategy")
	errs = append(errs, oneOf(s.UpdateStrategy.Type, strategy.Child("type"),
		appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)...)
	if r := s.UpdateStrategy.RollingUpdate; r != nil {
		if s.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
			errs = append(errs, field.Invalid(strategy.Child("rollingUpdate"), r, "only allowed for updateStrategy 'RollingUpdate'"))
		} else {
			errs = append(errs, nonNegativePtr(r.Partition, strategy.Child("rollingUpdate", "partition"))...)
			errs = append(errs, intOrPercent(r.MaxUnavailable, 100, strategy.Child("rollingUpdate", "maxUnavailable"))...)
			if isZero(r.MaxUnavailable) {
				errs = append(errs, field.Invalid(strategy.Child("rollingUpdate", "maxUnavailable"), r.MaxUnavailable.String(), "cannot be 0"))
			}
		}
	}
	if p := s.PersistentVolumeClaimRetentionPolicy; p != nil {
		at := spec.Child("persistentVolumeClaimRetentionPolicy")
		for name, v := range map[string]appsv1.PersistentVolumeClaimRetentionPolicyType{"whenDeleted": p.WhenDeleted, "whenScaled": p.WhenScaled} {
			errs = append(errs, oneOf(v, at.Child(name), appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType)...)
		}
	}
	return errs
}

// validateSetTemplate checks the pod template as its pods will be: with a volume
// for each claim template, which the containers may mount.
func validateSetTemplate(s *appsv1.StatefulSetSpec, spec *field.Path) field.ErrorList {
	template := s.Template.DeepCopy()
	claimed := map[string]bool{}
	for _, c := range s.VolumeClaimTemplates {
		claimed[c.Name] = true
	}
	// A claim template stands before a volume of the same name.
	volumes := template.Spec.Volumes
	template.Spec.Volumes = nil
	for _, v := range volumes {
		if !claimed[v.Name] {
			template.Spec.Volumes = append(template.Spec.Volumes, v)
		}
	}
	for _, c := range s.VolumeClaimTemplates {
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{Name: c.Name, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name},
		}})
	}
	return validateTemplate(template, spec.Child("template"), corev1.RestartPolicyAlways)
}

func validateStatefulSetUpdate(set, old *appsv1.StatefulSet) field.ErrorList {
	allowed := set.Spec.DeepCopy()
	was := &old.Spec
	allowed.Replicas = was.Replicas
	allowed.Ordinals = was.Ordinals
	allowed.Template = was.Template
	allowed.UpdateStrategy = was.UpdateStrategy
	allowed.RevisionHistoryLimit = was.RevisionHistoryLimit
	allowed.PersistentVolumeClaimRetentionPolicy = was.PersistentVolumeClaimRetentionPolicy
	allowed.MinReadySeconds = was.MinReadySeconds
	if same(allowed, was) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), "updates to statefulset spec for fields other than 'replicas', 'ordinals', "+
		"'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")}
}

func controllerRevision() Kind {
	return Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("ControllerRevision"),
		Resource:   "controllerrevisions",
		Namespaced: true,
		Validate: check(func(r *appsv1.ControllerRevision) field.ErrorList {
			var errs field.ErrorList
			if len(r.Data.Raw) == 0 && r.Data.Object == nil {
				errs = append(errs, field.Required(field.NewPath("data"), "data is mandatory"))
			}
			return append(errs, nonNegative(r.Revision, field.NewPath("revision"))...)
		}),
		ValidateUpdate: checkUpdate(func(r, old *appsv1.ControllerRevision) field.ErrorList {
			return immutable(r.Data, old.Data, field.NewPath("data"))
		}),
		Columns: columns("Name", "Controller", "#Revision", "Age"),
		Cells: cells(func(r *appsv1.ControllerRevision, now time.Time) []any {
			owner := none
			if c := metav1.GetControllerOf(r); c != nil {
				owner = strings.ToLower(c.Kind) + "/" + c.Name
				if group, _, ok := strings.Cut(c.APIVersion, "/"); ok {
					owner = strings.ToLower(c.Kind) + "." + group + "/" + c.Name
				}
			}
			return []any{r.Name, owner, r.Revision, age(r.ObjectMeta, now)}
		}),
	}
}
