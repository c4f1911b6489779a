package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// validateContainers checks all containers of a spec: each by itself, and what
// they share — names, host ports and the pod's volumes. A pod (asPod) is held to more than a
// template, from which it may yet be completed.
func validateContainers(s *corev1.PodSpec, volumes map[string]corev1.VolumeSource, asPod bool, path *field.Path) field.ErrorList {
	if len(s.Containers) == 0 {
		return append(field.ErrorList{field.Required(path.Child("containers"), "")}, validateInitContainers(s, volumes, asPod, sets.New[string](), path)...)
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range s.Containers {
		c, p := &s.Containers[i], path.Child("containers").Index(i)
		errs = append(errs, validateContainer(c, s, volumes, asPod, p)...)
		errs = append(errs, validate.UniqueName(c.Name, names, p)...)
		errs = append(errs, validateRunning(c, s, p)...)
		errs = append(errs, validateRestartPolicy(c, p)...)
		errs = append(errs, hostNetworkPorts(c.Ports, s.HostNetwork, asPod, p.Child("ports"))...)
	}
	errs = append(errs, hostPortConflicts(s.Containers, path.Child("containers"))...)
	return append(errs, validateInitContainers(s, volumes, asPod, names, path)...)
}

// validateInitContainers checks those that run before the others, and those for debugging,
// which are no part of the application. names are those that are taken.
func validateInitContainers(s *corev1.PodSpec, volumes map[string]corev1.VolumeSource, asPod bool, names sets.Set[string], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range s.InitContainers {
		c, p := &s.InitContainers[i], path.Child("initContainers").Index(i)
		errs = append(errs, validateContainer(c, s, volumes, asPod, p)...)
		errs = append(errs, validate.UniqueName(c.Name, names, p)...)
		names.Delete("") // told of as missing
		if c.RestartPolicy != nil {
			errs = append(errs, validateRestartPolicy(c, p)...)
		} else if len(c.RestartPolicyRules) > 0 {
			errs = append(errs, field.Required(p.Child("restartPolicy"), "must specify restartPolicy when restart rules are used"))
		}
		// They run one after the other: each has the ports for itself.
		errs = append(errs, hostPortConflicts(s.InitContainers[i:i+1], path.Child("initContainers"))...)
		if podutil.IsSidecar(c) {
			errs = append(errs, validateRunning(c, s, p)...)
			continue
		}
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
	for i := range s.EphemeralContainers {
		ec, p := &s.EphemeralContainers[i], path.Child("ephemeralContainers").Index(i)
		c := (*corev1.Container)(&ec.EphemeralContainerCommon)
		errs = append(errs, validateContainer(c, s, volumes, true, p)...)
		errs = append(errs, validate.UniqueName(c.Name, names, p)...)
		if t := ec.TargetContainerName; t != "" {
			if _, found := podutil.FindContainer(s, t); found&(podutil.InitContainers|podutil.MainContainers) == 0 {
				errs = append(errs, field.NotFound(p.Child("targetContainerName"), t))
			}
		}
		errs = append(errs, validate.OnlySet(*c, p, "cannot be set for an Ephemeral Container", "name", "image", "command", "args", "workingDir",
			"envFrom", "env", "volumeMounts", "volumeDevices", "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy",
			"securityContext", "stdin", "stdinOnce", "tty")...)
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
	return errs
}

func validateContainer(c *corev1.Container, s *corev1.PodSpec, volumes map[string]corev1.VolumeSource, asPod bool, path *field.Path) field.ErrorList {
	errs := validate.DNSLabel(c.Name, path.Child("name"))
	switch {
	case c.Image == "":
		errs = append(errs, field.Required(path.Child("image"), ""))
	case asPod && strings.TrimSpace(c.Image) != c.Image:
		errs = append(errs, field.Invalid(path.Child("image"), c.Image, "must not have leading or trailing whitespace"))
	}
	errs = append(errs, validate.OneOf(c.ImagePullPolicy, path.Child("imagePullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	errs = append(errs, validate.OneOf(c.TerminationMessagePolicy, path.Child("terminationMessagePolicy"),
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
	errs = append(errs, validatePorts(c.Ports, path.Child("ports"))...)
	errs = append(errs, validateEnv(c.Env, path.Child("env"))...)
	errs = append(errs, validateEnvFrom(c.EnvFrom, path.Child("envFrom"))...)
	errs = append(errs, validateMounts(c, volumes, path)...)
	errs = append(errs, validateRequirements(&c.Resources, validate.ContainerResourceName, path.Child("resources"))...)
	errs = append(errs, validateResizePolicy(c.ResizePolicy, s.RestartPolicy, path.Child("resizePolicy"))...)
	return append(errs, validateContainerSecurity(c.SecurityContext, ptr.Deref(s.HostUsers, true), path.Child("securityContext"))...)
}

// validateRunning checks what is done with a container while it runs, and as it begins and
// ends.
func validateRunning(c *corev1.Container, s *corev1.PodSpec, path *field.Path) field.ErrorList {
	grace := ptr.Deref(s.TerminationGracePeriodSeconds, defaultGracePeriod)
	errs := validateProbe(c.LivenessProbe, true, path.Child("livenessProbe"))
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

func validatePorts(ports []corev1.ContainerPort, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, p := range ports {
		at := path.Index(i)
		if p.Name != "" {
			if invalid := validate.InvalidIf(validation.IsValidPortName(p.Name), at.Child("name"), p.Name); len(invalid) > 0 {
				errs = append(errs, invalid...)
			} else {
				errs = append(errs, validate.UniqueName(p.Name, names, at)...)
			}
		}
		if p.ContainerPort == 0 {
			errs = append(errs, field.Required(at.Child("containerPort"), ""))
		} else {
			errs = append(errs, validate.PortNumber(p.ContainerPort, at.Child("containerPort"))...)
		}
		if p.HostPort != 0 {
			errs = append(errs, validate.PortNumber(p.HostPort, at.Child("hostPort"))...)
		}
		errs = append(errs, validate.Protocol(p.Protocol, at.Child("protocol"))...)
	}
	return errs
}

// hostNetworkPorts: in the network of the host a port is the host's. A template may leave it
// to the pod.
func hostNetworkPorts(ports []corev1.ContainerPort, hostNetwork, asPod bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, p := range ports {
		if hostNetwork && (asPod || p.HostPort != 0) && p.HostPort != p.ContainerPort {
			errs = append(errs, field.Invalid(path.Index(i).Child("hostPort"), p.HostPort, "must match `containerPort` when `hostNetwork` is true"))
		}
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
	kind, name, _ := strings.Cut(r.Resource, ".")
	ofContainer := kind == "limits" || kind == "requests"
	huge := ofContainer && isHugePage(corev1.ResourceName(name))
	bytes := ofContainer && (name == "memory" || name == "ephemeral-storage") || huge
	cpu := ofContainer && name == "cpu"
	switch p := path.Child("resource"); {
	case volume && r.ContainerName == "":
		errs = append(errs, field.Required(path.Child("containerName"), ""))
	case r.Resource == "":
		errs = append(errs, field.Required(p, ""))
	case !cpu && !bytes:
		errs = append(errs, field.NotSupported(p, r.Resource, []string{"limits.cpu", "limits.ephemeral-storage", "limits.memory",
			"requests.cpu", "requests.ephemeral-storage", "requests.memory"}))
	}
	if r.Divisor.IsZero() {
		return errs
	}
	divisors := []string{"1m", "1"}
	if bytes {
		divisors = []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}
	}
	if (cpu || bytes) && !slices.Contains(divisors, r.Divisor.String()) {
		errs = append(errs, field.Invalid(path.Child("divisor"), r.Resource, fmt.Sprintf("only divisor's values %s are supported with this resource", strings.Join(divisors, ", "))))
	}
	return errs
}
