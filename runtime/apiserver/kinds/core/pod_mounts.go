package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateMounts checks where a container mounts the pod's volumes.
func validateMounts(c *corev1.Container, volumes map[string]corev1.VolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	paths, names, devices, devicePaths := sets.New[string](), sets.New[string](), sets.New[string](), sets.New[string]()
	for _, d := range c.VolumeDevices {
		devices.Insert(d.Name)
		devicePaths.Insert(d.DevicePath)
	}
	all := at.Child("volumeMounts") // errors of some fields do not say of which mount, as upstream's
	for i, m := range c.VolumeMounts {
		p := all.Index(i)
		errs = append(errs, mountable(m.Name, volumes, p.Child("name"))...)
		errs = append(errs, validate.Required(m.MountPath, p.Child("mountPath"))...)
		if paths.Has(m.MountPath) {
			errs = append(errs, field.Invalid(p.Child("mountPath"), m.MountPath, "must be unique"))
		}
		paths.Insert(m.MountPath)
		names.Insert(m.Name)
		if devices.Has(m.Name) {
			errs = append(errs, field.Invalid(p.Child("name"), m.Name, "must not already exist in volumeDevices"))
		}
		if devicePaths.Has(m.MountPath) {
			errs = append(errs, field.Invalid(p.Child("mountPath"), m.MountPath, "must not already exist as a path in volumeDevices"))
		}
		if m.SubPath != "" && m.SubPathExpr != "" {
			errs = append(errs, field.Invalid(p.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
		}
		errs = append(errs, relativePath(m.SubPath, all.Child("subPath"))...)
		errs = append(errs, relativePath(m.SubPathExpr, all.Child("subPathExpr"))...)
		if m.MountPropagation != nil {
			errs = append(errs, validate.Known(*m.MountPropagation, all.Child("mountPropagation"),
				corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)...)
			privileged := c.SecurityContext != nil && ptr.Deref(c.SecurityContext.Privileged, false)
			if *m.MountPropagation == corev1.MountPropagationBidirectional && !privileged {
				errs = append(errs, field.Forbidden(all.Child("mountPropagation"), "Bidirectional mount propagation is available only to privileged containers"))
			}
		}
		if m.RecursiveReadOnly != nil {
			errs = append(errs, validateRecursion(&m, all.Child("recursiveReadOnly"))...)
		}
	}
	return append(errs, validateDevices(c, volumes, names, paths, at)...)
}

// validateDevices checks as what a container has volumes that are devices. A volume is
// either mounted or a device, and mounts (their names and paths) are where no device is.
func validateDevices(c *corev1.Container, volumes map[string]corev1.VolumeSource, mounts, mountPaths sets.Set[string], at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, paths := sets.New[string](), sets.New[string]()
	for i, d := range c.VolumeDevices {
		p := at.Child("volumeDevices").Index(i)
		errs = append(errs, mountable(d.Name, volumes, p.Child("name"))...)
		if names.Has(d.Name) {
			errs = append(errs, field.Invalid(p.Child("name"), d.Name, "must be unique"))
		}
		if d.Name != "" {
			names.Insert(d.Name)
		}
		if mounts.Has(d.Name) {
			errs = append(errs, field.Invalid(p.Child("name"), d.Name, "must not already exist in volumeMounts"))
		}
		if source, ok := volumes[d.Name]; ok && source.PersistentVolumeClaim == nil && source.Ephemeral == nil {
			errs = append(errs, field.Invalid(p.Child("name"), d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
		}
		errs = append(errs, validate.Required(d.DevicePath, p.Child("devicePath"))...)
		if paths.Has(d.DevicePath) {
			errs = append(errs, field.Invalid(p.Child("devicePath"), d.DevicePath, "must be unique"))
		}
		if len(noBacksteps(d.DevicePath, p)) > 0 {
			errs = append(errs, field.Invalid(p.Child("devicePath"), d.DevicePath, "can not contain backsteps ('..')"))
		} else {
			paths.Insert(d.DevicePath)
		}
		if mountPaths.Has(d.DevicePath) {
			errs = append(errs, field.Invalid(p.Child("devicePath"), d.DevicePath, "must not already exist as a path in volumeMounts"))
		}
	}
	return errs
}

func validateRecursion(m *corev1.VolumeMount, path *field.Path) field.ErrorList {
	errs := validate.Known(*m.RecursiveReadOnly, path, corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible)
	if len(errs) > 0 || *m.RecursiveReadOnly == corev1.RecursiveReadOnlyDisabled {
		return errs
	}
	if !m.ReadOnly {
		errs = append(errs, field.Forbidden(path, "may only be specified when readOnly is true"))
	}
	if ptr.Deref(m.MountPropagation, corev1.MountPropagationNone) != corev1.MountPropagationNone {
		errs = append(errs, field.Forbidden(path, "may only be specified when mountPropagation is None or not specified"))
	}
	return errs
}

func mountable(name string, volumes map[string]corev1.VolumeSource, at *field.Path) field.ErrorList {
	errs := validate.Required(name, at)
	if _, ok := volumes[name]; !ok {
		errs = append(errs, field.NotFound(at, name))
	}
	return errs
}
