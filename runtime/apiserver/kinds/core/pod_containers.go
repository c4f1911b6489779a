package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// validateContainers checks all containers of a spec: each by itself, and what
// they share — names, host ports and the pod's volumes.
func validateContainers(s *corev1.PodSpec, volumes map[string]corev1.VolumeSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()

	if len(s.Containers) == 0 {
		errs = append(errs, field.Required(path.Child("containers"), ""))
	}
	for i := range s.Containers {
		c, p := &s.Containers[i], path.Child("containers").Index(i)
		errs = append(errs, validateContainer(c, s, volumes, p)...)
		errs = append(errs, validate.UniqueName(c.Name, names, p)...)
		errs = append(errs, validateRestartPolicy(c, p)...)
	}
	for i := range s.InitContainers {
		c, p := &s.InitContainers[i], path.Child("initContainers").Index(i)
		errs = append(errs, validateContainer(c, s, volumes, p)...)
		errs = append(errs, validate.UniqueName(c.Name, names, p)...)
		errs = append(errs, validateRestartPolicy(c, p)...)
		if !podutil.IsSidecar(c) {
			for j, r := range c.ResizePolicy {
				if r.RestartPolicy == corev1.RestartContainer {
					errs = append(errs, field.Invalid(p.Child("resizePolicy").Index(j).Child("restartPolicy"), r.RestartPolicy, "must not be set to 'RestartContainer' for non-sidecar initContainers"))
				}
			}
			for _, f := range []struct {
				name string
				set  bool
			}{
				{"lifecycle", c.Lifecycle != nil},
				{"livenessProbe", c.LivenessProbe != nil},
				{"readinessProbe", c.ReadinessProbe != nil},
				{"startupProbe", c.StartupProbe != nil},
			} {
				if f.set {
					errs = append(errs, field.Forbidden(p.Child(f.name), "may not be set for init containers without restartPolicy=Always"))
				}
			}
		}
	}
	for i := range s.EphemeralContainers {
		ec, p := &s.EphemeralContainers[i], path.Child("ephemeralContainers").Index(i)
		c := (*corev1.Container)(&ec.EphemeralContainerCommon)
		errs = append(errs, validateContainer(c, s, volumes, p)...)
		errs = append(errs, validate.UniqueName(c.Name, names, p)...)
		if t := ec.TargetContainerName; t != "" {
			if _, found := podutil.FindContainer(s, t); found&(podutil.InitContainers|podutil.MainContainers) == 0 {
				errs = append(errs, field.NotFound(p.Child("targetContainerName"), t))
			}
		}
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"ports", len(c.Ports) > 0},
			{"lifecycle", c.Lifecycle != nil},
			{"livenessProbe", c.LivenessProbe != nil},
			{"readinessProbe", c.ReadinessProbe != nil},
			{"startupProbe", c.StartupProbe != nil},
			{"resources", len(c.Resources.Limits)+len(c.Resources.Requests)+len(c.Resources.Claims) > 0},
			{"resizePolicy", len(c.ResizePolicy) > 0},
			{"restartPolicy", c.RestartPolicy != nil},
			{"restartPolicyRules", len(c.RestartPolicyRules) > 0},
		} {
			if f.set {
				errs = append(errs, field.Forbidden(p.Child(f.name), "cannot be set for an Ephemeral Container"))
			}
		}
		// The mount of a subPath would stay until the pod ends.
		for j, m := range c.VolumeMounts {
			at := p.Child("volumeMounts").Index(j)
			if m.SubPath != "" {
				errs = append(errs, field.Forbidden(at.Child("subPath"), "cannot be set for an Ephemeral Container"))
			}
			if m.SubPathExpr != "" {
				errs = append(errs, field.Forbidden(at.Child("subPathExpr"), "cannot be set for an Ephemeral Container"))
			}
		}
	}
	errs = append(errs, hostPortConflicts(s.Containers, path.Child("containers"))...)
	return errs
}

func validateContainer(c *corev1.Container, s *corev1.PodSpec, volumes map[string]corev1.VolumeSource, path *field.Path) field.ErrorList {
	errs := validate.DNSLabel(c.Name, path.Child("name"))
	switch {
	case c.Image == "":
		errs = append(errs, field.Required(path.Child("image"), ""))
	case strings.TrimSpace(c.Image) != c.Image:
		errs = append(errs, field.Invalid(path.Child("image"), c.Image, "must not have leading or trailing whitespace"))
	}
	errs = append(errs, validate.OneOf(c.ImagePullPolicy, path.Child("imagePullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	errs = append(errs, validate.OneOf(c.TerminationMessagePolicy, path.Child("terminationMessagePolicy"),
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
	errs = append(errs, validatePorts(c.Ports, s.HostNetwork, path.Child("ports"))...)
	errs = append(errs, validateEnv(c.Env, path.Child("env"))...)
	errs = append(errs, validateEnvFrom(c.EnvFrom, path.Child("envFrom"))...)
	errs = append(errs, validateMounts(c, volumes, path)...)
	errs = append(errs, validateRequirements(&c.Resources, path.Child("resources"))...)
	errs = append(errs, validateResizePolicy(c.ResizePolicy, s.RestartPolicy, path.Child("resizePolicy"))...)
	errs = append(errs, validateContainerSecurity(c.SecurityContext, ptr.Deref(s.HostUsers, true), path.Child("securityContext"))...)

	grace := ptr.Deref(s.TerminationGracePeriodSeconds, defaultGracePeriod)
	errs = append(errs, validateProbe(c.LivenessProbe, true, path.Child("livenessProbe"))...)
	errs = append(errs, validateProbe(c.ReadinessProbe, false, path.Child("readinessProbe"))...)
	errs = append(errs, validateProbe(c.StartupProbe, true, path.Child("startupProbe"))...)
	if c.ReadinessProbe != nil && c.ReadinessProbe.TerminationGracePeriodSeconds != nil {
		errs = append(errs, field.Invalid(path.Child("readinessProbe", "terminationGracePeriodSeconds"),
			*c.ReadinessProbe.TerminationGracePeriodSeconds, "must not be set for readinessProbes"))
	}
	if c.Lifecycle != nil {
		errs = append(errs, validateHook(c.Lifecycle.PostStart, grace, path.Child("lifecycle", "postStart"))...)
		errs = append(errs, validateHook(c.Lifecycle.PreStop, grace, path.Child("lifecycle", "preStop"))...)
	}
	return errs
}

func validatePorts(ports []corev1.ContainerPort, hostNetwork bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, p := range ports {
		at := path.Index(i)
		if p.Name != "" {
			errs = append(errs, validate.InvalidIf(validation.IsValidPortName(p.Name), at.Child("name"), p.Name)...)
			errs = append(errs, validate.UniqueName(p.Name, names, at)...)
		}
		if p.ContainerPort == 0 {
			errs = append(errs, field.Required(at.Child("containerPort"), ""))
		} else {
			errs = append(errs, validate.PortNumber(p.ContainerPort, at.Child("containerPort"))...)
		}
		if p.HostPort != 0 {
			errs = append(errs, validate.PortNumber(p.HostPort, at.Child("hostPort"))...)
			if hostNetwork && p.HostPort != p.ContainerPort {
				errs = append(errs, field.Invalid(at.Child("hostPort"), p.HostPort, "must match `containerPort` when `hostNetwork` is true"))
			}
		}
		if p.HostIP != "" {
			errs = append(errs, validation.IsValidIPForLegacyField(at.Child("hostIP"), p.HostIP, false, nil)...)
		}
		errs = append(errs, validate.Protocol(p.Protocol, at.Child("protocol"))...)
	}
	return errs
}

func hostPortConflicts(cs []corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range cs {
		for j, p := range cs[i].Ports {
			if p.HostPort == 0 {
				continue
			}
			key := fmt.Sprintf("%s/%s/%d", p.Protocol, p.HostIP, p.HostPort)
			if seen.Has(key) {
				errs = append(errs, field.Duplicate(path.Index(i).Child("ports").Index(j).Child("hostPort"), key))
			}
			seen.Insert(key)
		}
	}
	return errs
}

func validateEnv(env []corev1.EnvVar, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, e := range env {
		p := path.Index(i)
		if e.Name == "" {
			errs = append(errs, field.Required(p.Child("name"), ""))
		} else {
			errs = append(errs, validate.InvalidIf(validation.IsRelaxedEnvVarName(e.Name), p.Child("name"), e.Name)...)
		}
		if e.ValueFrom == nil {
			continue
		}
		from := p.Child("valueFrom")
		sources := 0
		if r := e.ValueFrom.FieldRef; r != nil {
			sources++
			errs = append(errs, validateFieldRef(r, envFields(), from.Child("fieldRef"))...)
		}
		if r := e.ValueFrom.ResourceFieldRef; r != nil {
			sources++
			errs = append(errs, validateResourceRef(r, false, from.Child("resourceFieldRef"))...)
		}
		if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
			sources++
			errs = append(errs, validateKeyRef(r.Name, r.Key, from.Child("configMapKeyRef"))...)
		}
		if r := e.ValueFrom.SecretKeyRef; r != nil {
			sources++
			errs = append(errs, validateKeyRef(r.Name, r.Key, from.Child("secretKeyRef"))...)
		}
		if r := e.ValueFrom.FileKeyRef; r != nil {
			sources++
			errs = append(errs, validate.Required(r.VolumeName, from.Child("fileKeyRef", "volumeName"))...)
			errs = append(errs, validate.Required(r.Path, from.Child("fileKeyRef", "path"))...)
			errs = append(errs, validate.Required(r.Key, from.Child("fileKeyRef", "key"))...)
		}
		switch {
		case sources == 0:
			errs = append(errs, field.Invalid(from, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
		case e.Value != "":
			errs = append(errs, field.Invalid(from, "", "may not be specified when `value` is not empty"))
		case sources > 1:
			errs = append(errs, field.Invalid(from, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}

func validateEnvFrom(from []corev1.EnvFromSource, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, f := range from {
		at := path.Index(i)
		if f.Prefix != "" {
			errs = append(errs, validate.InvalidIf(validation.IsRelaxedEnvVarName(f.Prefix), at.Child("prefix"), f.Prefix)...)
		}
		if f.ConfigMapRef != nil {
			errs = append(errs, validate.DNSSubdomain(f.ConfigMapRef.Name, at.Child("configMapRef", "name"))...)
		}
		if f.SecretRef != nil {
			errs = append(errs, validate.DNSSubdomain(f.SecretRef.Name, at.Child("secretRef", "name"))...)
		}
		// Upstream leaves the index out of these paths.
		switch {
		case f.ConfigMapRef != nil && f.SecretRef != nil:
			errs = append(errs, field.Invalid(path, "", "may not have more than one field specified at a time"))
		case f.ConfigMapRef == nil && f.SecretRef == nil:
			errs = append(errs, field.Invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
		}
	}
	return errs
}

func validateKeyRef(name, key string, path *field.Path) field.ErrorList {
	errs := validate.InvalidIf(validation.IsDNS1123Subdomain(name), path.Child("name"), name)
	if key == "" {
		return append(errs, field.Required(path.Child("key"), ""))
	}
	return append(errs, validate.InvalidIf(validation.IsConfigMapKey(key), path.Child("key"), key)...)
}

// envFields and volumeFields are the fields of a pod that the downward API can
// give as environment variables and as files.
func envFields() sets.Set[string] {
	return sets.New("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
		"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs")
}

func volumeFields() sets.Set[string] {
	return sets.New("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
}

func validateFieldRef(r *corev1.ObjectFieldSelector, valid sets.Set[string], path *field.Path) field.ErrorList {
	if r.APIVersion == "" {
		return field.ErrorList{field.Required(path.Child("apiVersion"), "")}
	}
	p := path.Child("fieldPath")
	if r.FieldPath == "" {
		return field.ErrorList{field.Required(p, "")}
	}
	if base, key, ok := strings.Cut(r.FieldPath, "['"); ok && strings.HasSuffix(key, "']") {
		key = strings.TrimSuffix(key, "']")
		switch base {
		case "metadata.annotations":
			return validate.QualifiedName(strings.ToLower(key), path)
		case "metadata.labels":
			return validate.QualifiedName(key, path)
		}
		return field.ErrorList{field.Invalid(p, r.FieldPath, "error converting fieldPath: field label does not support subscript")}
	}
	if r.APIVersion != "v1" || !podFields().Has(r.FieldPath) {
		return field.ErrorList{field.Invalid(p, r.FieldPath, "error converting fieldPath: field label not supported: "+r.FieldPath)}
	}
	if !valid.Has(r.FieldPath) {
		return field.ErrorList{field.NotSupported(p, r.FieldPath, sets.List(valid))}
	}
	return nil
}

// podFields are those that the downward API knows at all.
func podFields() sets.Set[string] {
	return envFields().Union(volumeFields()).Insert("spec.restartPolicy", "spec.schedulerName", "status.phase")
}

func validateResourceRef(r *corev1.ResourceFieldSelector, volume bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if volume {
		errs = append(errs, validate.Required(r.ContainerName, path.Child("containerName"))...)
	}
	p := path.Child("resource")
	if r.Resource == "" {
		return append(errs, field.Required(p, ""))
	}
	kind, name, _ := strings.Cut(r.Resource, ".")
	known := name == "cpu" || name == "memory" || name == "ephemeral-storage" || strings.HasPrefix(name, corev1.ResourceHugePagesPrefix)
	if (kind != "limits" && kind != "requests") || !known {
		errs = append(errs, field.NotSupported(p, r.Resource, []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory",
			"requests.cpu", "requests.ephemeral-storage", "requests.memory"}))
	}
	if r.Divisor.Sign() < 0 {
		errs = append(errs, field.Invalid(path.Child("divisor"), r.Divisor.String(), "must not be negative"))
	}
	return errs
}

// validateRequirements checks quantities and that no request is above its
// limit.
func validateRequirements(r *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(r.Limits)) {
		key := path.Child("limits").Key(string(name))
		errs = append(errs, validate.ContainerResourceName(name, key)...)
		errs = append(errs, validateAmount(name, r.Limits[name], key)...)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		q := r.Requests[name]
		key := path.Child("requests").Key(string(name))
		errs = append(errs, validate.ContainerResourceName(name, key)...)
		errs = append(errs, validateAmount(name, q, key)...)
		limit, limited := r.Limits[name]
		switch {
		case limited && overcommitable(name) && q.Cmp(limit) > 0:
			errs = append(errs, field.Invalid(path.Child("requests"), q.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		case limited && !overcommitable(name) && q.Cmp(limit) != 0:
			errs = append(errs, field.Invalid(path.Child("requests"), q.String(), fmt.Sprintf("must be equal to %s limit of %s", name, limit.String())))
		case !limited && !overcommitable(name):
			errs = append(errs, field.Required(path.Child("limits"), "Limit must be set for non overcommitable resources"))
		}
	}
	return errs
}

// validateAmount: what is not divided comes whole.
func validateAmount(name corev1.ResourceName, q resource.Quantity, path *field.Path) field.ErrorList {
	errs := validate.NonNegativeQuantity(q, path)
	if podutil.IsExtendedResource(name) && !whole(q) {
		errs = append(errs, field.Invalid(path, q.String(), "must be an integer"))
	}
	return errs
}

// overcommitable is true of the resources whose limits may be above their
// requests; huge pages and extended resources are handed out whole.
func overcommitable(name corev1.ResourceName) bool {
	if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
		return false
	}
	domain, _, prefixed := strings.Cut(string(name), "/")
	return !prefixed || domain == "kubernetes.io"
}

func validateContainerSecurity(sc *corev1.SecurityContext, hostUsers bool, path *field.Path) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := validateIDs(sc.RunAsUser, sc.RunAsGroup, path)
	errs = append(errs, validateSeccomp(sc.SeccompProfile, path.Child("seccompProfile"))...)
	errs = append(errs, validateAppArmor(sc.AppArmorProfile, path.Child("appArmorProfile"))...)
	if sc.ProcMount != nil {
		errs = append(errs, validate.OneOf(*sc.ProcMount, path.Child("procMount"), corev1.DefaultProcMount, corev1.UnmaskedProcMount)...)
		if hostUsers && *sc.ProcMount == corev1.UnmaskedProcMount {
			errs = append(errs, field.Invalid(path.Child("procMount"), *sc.ProcMount, "`hostUsers` must be false to use `Unmasked`"))
		}
	}
	if sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation {
		if sc.Privileged != nil && *sc.Privileged {
			errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
		}
		if sc.Capabilities != nil {
			for _, c := range sc.Capabilities.Add {
				if c == "CAP_SYS_ADMIN" {
					errs = append(errs, field.Invalid(path, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
				}
			}
		}
	}
	return errs
}
