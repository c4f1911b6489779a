package csi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

// tokensKey is under which a driver gets the tokens that it asked for, a JSON object by audience.
const tokensKey = "csi.storage.k8s.io/serviceAccount.tokens"

// publishRequest is what a driver is told of a volume and its pod.
func (v *Volumes) publishRequest(ctx context.Context, c call, r publishRecord, staging string) (*spec.NodePublishVolumeRequest, error) {
	secrets, err := v.secrets(ctx, "NodePublishSecretRef", c.publishSecret)
	if err != nil {
		return nil, err
	}
	attributes := maps.Clone(c.attributes)
	if attributes == nil {
		attributes = map[string]string{}
	}
	if o := c.object; o != nil {
		if ptr.Deref(o.Spec.PodInfoOnMount, false) {
			maps.Copy(attributes, podInfo(c.Pod, c.lifecycle))
		}
		tokens, err := v.tokens(ctx, c.Pod, o.Spec.TokenRequests)
		if err != nil {
			return nil, err
		}
		if ptr.Deref(o.Spec.ServiceAccountTokenInSecrets, false) {
			maps.Copy(secrets, tokens)
		} else {
			maps.Copy(attributes, tokens)
		}
	}
	return &spec.NodePublishVolumeRequest{
		VolumeId: c.handle, PublishContext: c.context, StagingTargetPath: staging, TargetPath: r.Target,
		VolumeCapability: c.capability(c.can, c.group(c.can)), Readonly: r.ReadOnly, Secrets: secrets, VolumeContext: attributes,
	}, nil
}

func podInfo(p *corev1.Pod, mode storagev1.VolumeLifecycleMode) map[string]string {
	return map[string]string{
		"csi.storage.k8s.io/pod.name": p.Name, "csi.storage.k8s.io/pod.namespace": p.Namespace, "csi.storage.k8s.io/pod.uid": string(p.UID),
		"csi.storage.k8s.io/serviceAccount.name": p.Spec.ServiceAccountName,
		"csi.storage.k8s.io/ephemeral":           strconv.FormatBool(mode == storagev1.VolumeLifecycleEphemeral),
	}
}

func (v *Volumes) tokens(ctx context.Context, p *corev1.Pod, asked []storagev1.TokenRequest) (map[string]string, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	out := map[string]authnv1.TokenRequestStatus{}
	for _, r := range asked {
		status, err := v.cfg.Tokens.Request(ctx, p, &corev1.ServiceAccountTokenProjection{Audience: r.Audience, ExpirationSeconds: r.ExpirationSeconds})
		if err != nil {
			return nil, err
		}
		out[r.Audience] = status
	}
	text, err := json.Marshal(out)
	return map[string]string{tokensKey: string(text)}, err
}

// secrets are those that a reference of a volume names.
func (v *Volumes) secrets(ctx context.Context, field string, ref *corev1.SecretReference) (map[string]string, error) {
	out := map[string]string{}
	if ref == nil {
		return out, nil
	}
	s, err := v.cfg.Secrets.Secret(ctx, ref.Namespace, ref.Name)
	if err != nil {
		return nil, fmt.Errorf("fetching %s %s/%s failed: %w", field, ref.Namespace, ref.Name, err)
	}
	for key, value := range s.Data {
		out[key] = string(value)
	}
	return out, nil
}
