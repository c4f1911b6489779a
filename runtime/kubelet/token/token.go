// Package token requests the service account tokens of pods and keeps them until they
// have to be renewed. It imports nothing of ours.
package token

import (
	"context"
	"fmt"
	"sync"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// defaultLifetime is that of a token whose projection says none, in seconds.
const defaultLifetime = 3600

// Manager keeps tokens until four fifths of their time are over.
type Manager struct {
	api kubernetes.Interface

	mu     sync.Mutex
	tokens map[string]map[string]cached // by pod UID, then by audience and path
}

type cached struct {
	status authnv1.TokenRequestStatus
	renew  time.Time
}

// NewManager returns a manager without tokens.
func NewManager(api kubernetes.Interface) *Manager {
	return &Manager{api: api, tokens: map[string]map[string]cached{}}
}

// Token returns a token for a projection into the pod, bound to the pod.
func (m *Manager) Token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error) {
	status, err := m.Request(ctx, pod, p)
	return status.Token, err
}

// Request is Token, with what else is known of it.
func (m *Manager) Request(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (authnv1.TokenRequestStatus, error) {
	uid, key := string(pod.UID), fmt.Sprint(p.Audience, "/", p.Path)
	m.mu.Lock()
	c, ok := m.tokens[uid][key]
	m.mu.Unlock()
	now := time.Now()
	if ok && now.Before(c.renew) {
		return c.status, nil
	}
	req := &authnv1.TokenRequest{Spec: authnv1.TokenRequestSpec{
		ExpirationSeconds: ptr.To(ptr.Deref(p.ExpirationSeconds, defaultLifetime)),
		BoundObjectRef:    &authnv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if p.Audience != "" {
		req.Spec.Audiences = []string{p.Audience}
	}
	name := pod.Spec.ServiceAccountName
	if name == "" {
		name = "default"
	}
	res, err := m.api.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, name, req, metav1.CreateOptions{})
	if err != nil {
		return authnv1.TokenRequestStatus{}, fmt.Errorf("request a token of service account %s: %w", name, err)
	}
	life := res.Status.ExpirationTimestamp.Sub(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens[uid] == nil {
		m.tokens[uid] = map[string]cached{}
	}
	m.tokens[uid][key] = cached{res.Status, now.Add(life * 4 / 5)}
	return res.Status, nil
}

// Forget drops the tokens of a pod.
func (m *Manager) Forget(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tokens, uid)
}
