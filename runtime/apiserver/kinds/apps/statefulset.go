package apps

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func statefulSet() kind.Kind {
	return kind.Kind{
		GVK:        appsv1.SchemeGroupVersion.WithKind("StatefulSet"),
		Resource:   "statefulsets",
		Generation: true,
		ShortNames: []string{"sts"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,
		Scale: kind.ScaleOf(
			func(s *appsv1.StatefulSet) (int32, int32) { return ptr.Deref(s.Spec.Replicas, 1), s.Status.Replicas },
			func(s *appsv1.StatefulSet, n int32) { s.Spec.Replicas = &n },
			func(s *appsv1.StatefulSet) string { return selectorString(s.Spec.Selector) },
		),

		Default: kind.On(SetObjectDefaults_StatefulSet, defaultStatefulSet),
		Drop:    kind.On(func(s *appsv1.StatefulSet) { core.DropDisabled(&s.Spec.Template) }),
		// They cannot be changed: what was accepted is let alone.
		ValidateCreate: kind.Check(func(s *appsv1.StatefulSet) field.ErrorList {
			var errs field.ErrorList
			if name := s.Spec.ServiceName; name != "" {
				errs = validate.DNSLabel(name, field.NewPath("spec", "serviceName"))
			}
			for i := range s.Spec.VolumeClaimTemplates {
				errs = append(errs, core.ValidateClaimSpec(&s.Spec.VolumeClaimTemplates[i].Spec, field.NewPath("spec", "volumeClaimTemplates").Index(i).Child("spec"))...)
			}
			return errs
		}),
		Unsupported: kind.Check(func(s *appsv1.StatefulSet) field.ErrorList {
			return core.UnsupportedPodTemplate(&s.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared:             kind.Declared(Validate_StatefulSet),
		Validate:             kind.Check(validateStatefulSet),
		ValidateUpdate:       kind.CheckUpdate(validateStatefulSetUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(validateStatefulSetStatus),
		// A stateful set's name becomes its pods' host names.
		ValidateName: apivalidation.NameIsDNSLabel,

		WarningsOnCreate: kind.Warnings(func(o *appsv1.StatefulSet) []string {
			return append(core.TemplateWarnings(&o.Spec.Template, field.NewPath("spec", "template")), claimAndHistoryWarnings(o, "")...)
		}),
		WarningsOnUpdate: kind.UpdateWarnings(func(o, old *appsv1.StatefulSet) []string {
			var out []string
			if !equality.Semantic.DeepEqual(o.Spec, old.Spec) {
				out = core.TemplateWarnings(&o.Spec.Template, field.NewPath("spec", "template"))
			}
			return append(out, claimAndHistoryWarnings(o, "Spec")...)
		}),
		Columns: printers.Columns("Name", "Ready", "Age", "+Containers", "+Images"),
		Cells: kind.Cells(func(s *appsv1.StatefulSet, now time.Time) []any {
			names, refs := printers.Images(s.Spec.Template.Spec.Containers)
			return []any{s.Name, fmt.Sprintf("%d/%d", s.Status.ReadyReplicas, ptr.Deref(s.Spec.Replicas, 1)), printers.Age(s.ObjectMeta, now), names, refs}
		}),
	}
}

func defaultStatefulSet(set *appsv1.StatefulSet) {
	s := &set.Spec
	kind.SetDefaultPtr(&s.Replicas, 1)
	kind.SetDefaultPtr(&s.RevisionHistoryLimit, defaultHistory)
	kind.SetDefault(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	if s.UpdateStrategy.Type == "" {
		s.UpdateStrategy.Type = appsv1.RollingUpdateStatefulSetStrategyType
		kind.SetDefaultPtr(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
	}
	if r := s.UpdateStrategy.RollingUpdate; r != nil && s.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		kind.SetDefaultPtr(&r.Partition, 0)
		kind.SetDefaultPtr(&r.MaxUnavailable, intstr.FromInt32(1))
	}
	kind.SetDefaultPtr(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	kind.SetDefault(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	kind.SetDefault(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	for i := range s.VolumeClaimTemplates {
		c := &s.VolumeClaimTemplates[i]
		c.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"}
		core.DefaultPersistentVolumeClaim(c)
	}
	core.DefaultPodTemplate(&s.Template)
}

func validateStatefulSet(set *appsv1.StatefulSet) field.ErrorList {
	s, spec := &set.Spec, field.NewPath("spec")
	errs := validate.NonNegativePtr(s.Replicas, spec.Child("replicas"))
	errs = append(errs, validate.WorkloadSelector(s.Selector, s.Template.Labels, spec)...)
	if validate.Readable(s.Selector) {
		errs = append(errs, validateSetTemplate(s, spec)...)
	}
	errs = append(errs, core.NoActiveDeadline(&s.Template, spec)...)
	errs = append(errs, validate.EitherOf(s.PodManagementPolicy, spec.Child("podManagementPolicy"), appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)...)
	errs = append(errs, validate.NonNegative(s.MinReadySeconds, spec.Child("minReadySeconds"))...)
	if s.Ordinals != nil {
		errs = append(errs, validate.NonNegative(s.Ordinals.Start, spec.Child("ordinals.start"))...)
	}

	strategy := spec.Child("updateStrategy")
	errs = append(errs, validate.EitherOf(s.UpdateStrategy.Type, strategy,
		appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)...)
	if r := s.UpdateStrategy.RollingUpdate; r != nil {
		if s.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
			errs = append(errs, field.Invalid(strategy.Child("rollingUpdate"), r, "only allowed for updateStrategy 'RollingUpdate'"))
		} else {
			errs = append(errs, validate.NonNegativePtr(r.Partition, strategy.Child("rollingUpdate", "partition"))...)
			errs = append(errs, validate.IntOrPercent(r.MaxUnavailable, 100, strategy.Child("rollingUpdate", "maxUnavailable"))...)
			if validate.IsZero(r.MaxUnavailable) {
				errs = append(errs, field.Invalid(strategy.Child("rollingUpdate", "maxUnavailable"), r.MaxUnavailable.String(), "cannot be 0"))
			}
		}
	}
	if p := s.PersistentVolumeClaimRetentionPolicy; p != nil {
		at := spec.Child("persistentVolumeClaimRetentionPolicy")
		for _, f := range []struct {
			name string
			v    appsv1.PersistentVolumeClaimRetentionPolicyType
		}{
			{"whenDeleted", p.WhenDeleted},
			{"whenScaled", p.WhenScaled},
		} {
			errs = append(errs, validate.OneOf(f.v, at.Child(f.name), appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType)...)
		}
	}
	return errs
}

// validateSetTemplate checks the pod template as its pods will be: with a volume
// for each claim template, which the containers may mount.
func validateSetTemplate(s *appsv1.StatefulSetSpec, spec *field.Path) field.ErrorList {
	template := s.Template.DeepCopy()
	template.Spec.Subdomain, template.Spec.Hostname = "", "" // each pod has its own
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
	return core.ValidatePodTemplate(template, spec.Child("template"), corev1.RestartPolicyAlways)
}

func validateStatefulSetUpdate(set, old *appsv1.StatefulSet) field.ErrorList {
	s, was, spec := &set.Spec, &old.Spec, field.NewPath("spec")
	errs := validate.Immutable(s.Selector, was.Selector, spec.Child("selector"))
	errs = append(errs, validate.Immutable(s.VolumeClaimTemplates, was.VolumeClaimTemplates, spec.Child("volumeClaimTemplates"))...)
	errs = append(errs, validate.Immutable(s.ServiceName, was.ServiceName, spec.Child("serviceName"))...)
	return append(errs, validate.Immutable(s.PodManagementPolicy, was.PodManagementPolicy, spec.Child("podManagementPolicy"))...)
}

func validateStatefulSetStatus(s, old *appsv1.StatefulSet) field.ErrorList {
	st, path := s.Status, field.NewPath("status")
	errs := validate.NonNegative(st.ObservedGeneration, path.Child("observedGeneration"))
	errs = append(errs, validate.NonNegative(st.Replicas, path.Child("replicas"))...)
	for _, f := range []struct {
		name string
		n    int32
	}{
		{"readyReplicas", st.ReadyReplicas},
		{"currentReplicas", st.CurrentReplicas},
		{"updatedReplicas", st.UpdatedReplicas},
		{"availableReplicas", st.AvailableReplicas},
	} {
		errs = append(errs, validate.AtMost(f.n, st.Replicas, path.Child(f.name), "status.replicas")...)
	}
	errs = append(errs, validate.AtMost(st.AvailableReplicas, st.ReadyReplicas, path.Child("availableReplicas"), "status.readyReplicas")...)
	return append(errs, validate.CollisionCount(st.CollisionCount, old.Status.CollisionCount, path.Child("collisionCount"))...)
}

// claimAndHistoryWarnings: below a claim template, upstream calls its spec by another name on an
// update than on a create.
func claimAndHistoryWarnings(set *appsv1.StatefulSet, below string) []string {
	var out []string
	for i := range set.Spec.VolumeClaimTemplates {
		path := field.NewPath("spec", "volumeClaimTemplates").Index(i)
		if below != "" {
			path = path.Child(below)
		}
		out = append(out, core.ClaimSizeWarnings(&set.Spec.VolumeClaimTemplates[i].Spec, path)...)
	}
	if n := set.Spec.RevisionHistoryLimit; n != nil && *n < 0 {
		out = append(out, "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended")
	}
	return out
}
