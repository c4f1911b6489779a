package podcertificate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// Credential is a key with the certificates that a signer issued for it, both in PEM.
type Credential struct{ Key, Chain []byte }

// Source names one source of a projected volume of a pod.
type Source struct {
	Volume string
	Index  int
}

// ErrPending: the signer has not answered yet.
var ErrPending = errors.New("the signer has not issued the certificate yet")

// Manager keeps credentials, each for one source of a volume. After a restart of the
// kubelet all are asked for anew: no key is on a disk.
type Manager struct {
	api    kubernetes.Interface
	node   func(ctx context.Context) (*corev1.Node, error)
	now    func() time.Time
	jitter func() time.Duration

	mu      sync.Mutex
	records map[string]map[Source]*record // by pod UID
}

// record is what is known of one source; a pod's worker alone uses it.
type record struct {
	issued  *Credential
	renewAt time.Time
	// request is the one that is under way; its key is the one that is asked for.
	request string
	key     []byte
	// refused is final.
	refused error
}

// NewManager returns a manager without credentials. jitter is added to the time at which a
// certificate is renewed, so that those of many pods are not renewed at once.
func NewManager(api kubernetes.Interface, node func(ctx context.Context) (*corev1.Node, error), now func() time.Time, jitter func() time.Duration) *Manager {
	return &Manager{api: api, node: node, now: now, jitter: jitter, records: map[string]map[Source]*record{}}
}

// Credential returns what a source of a pod holds, and asks for it where there is none or
// it is to be renewed. While a request is under way follow is called with it: the caller
// asks again when the request changes. The error is ErrPending until there is a first
// one; a request that was denied, or failed, is final.
func (m *Manager) Credential(ctx context.Context, pod *corev1.Pod, s Source, p *corev1.PodCertificateProjection, follow func(request *certificatesv1.PodCertificateRequest)) (Credential, error) {
	r := m.record(string(pod.UID), s)
	if r.refused != nil {
		return Credential{}, r.refused
	}
	if r.issued != nil && r.request == "" && m.now().Before(r.renewAt) {
		return *r.issued, nil
	}
	err := m.advance(ctx, pod, r, p, follow)
	if r.issued != nil && r.refused == nil {
		return *r.issued, nil // until the next one is there, or it can be asked for
	}
	if err != nil {
		return Credential{}, err
	}
	return Credential{}, ErrPending
}

// Forget drops the credentials of a pod.
func (m *Manager) Forget(uid string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, uid)
}

func (m *Manager) record(uid string, s Source) *record {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.records[uid] == nil {
		m.records[uid] = map[Source]*record{}
	}
	r := m.records[uid][s]
	if r == nil {
		r = &record{}
		m.records[uid][s] = r
	}
	return r
}

// advance makes the request, or takes what has become of it.
func (m *Manager) advance(ctx context.Context, pod *corev1.Pod, r *record, p *corev1.PodCertificateProjection, follow func(*certificatesv1.PodCertificateRequest)) error {
	if r.request == "" {
		key, request, err := m.ask(ctx, pod, p)
		if err != nil {
			return err
		}
		r.request, r.key = request.Name, key
		follow(request)
		return nil
	}
	request, err := m.api.CertificatesV1().PodCertificateRequests(pod.Namespace).Get(ctx, r.request, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		r.request, r.key = "", nil // somebody has deleted it: the next time there is another
	}
	if err != nil {
		return fmt.Errorf("read pod certificate request %s/%s: %w", pod.Namespace, r.request, err)
	}
	for _, c := range request.Status.Conditions {
		switch c.Type {
		case certificatesv1.PodCertificateRequestConditionTypeIssued:
			r.issued = &Credential{Key: r.key, Chain: clean(request.Status.CertificateChain)}
			r.renewAt = request.Status.BeginRefreshAt.Add(m.jitter())
			r.request, r.key = "", nil
			return nil
		case certificatesv1.PodCertificateRequestConditionTypeDenied:
			r.refused = fmt.Errorf("PodCertificateRequest %s/%s was denied, reason=%q, message=%q", pod.Namespace, request.Name, c.Reason, c.Message)
			return r.refused
		case certificatesv1.PodCertificateRequestConditionTypeFailed:
			r.refused = fmt.Errorf("PodCertificateRequest %s/%s failed, reason=%q, message=%q", pod.Namespace, request.Name, c.Reason, c.Message)
			return r.refused
		}
	}
	follow(request)
	return nil
}

// ask creates a request of the pod, its account and its node.
func (m *Manager) ask(ctx context.Context, pod *corev1.Pod, p *corev1.PodCertificateProjection) (key []byte, request *certificatesv1.PodCertificateRequest, err error) {
	account := pod.Spec.ServiceAccountName
	if account == "" {
		account = "default"
	}
	sa, err := m.api.CoreV1().ServiceAccounts(pod.Namespace).Get(ctx, account, metav1.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("read service account %s/%s for a certificate: %w", pod.Namespace, account, err)
	}
	node, err := m.node(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the node for a certificate: %w", err)
	}
	key, proof, err := generate(p.KeyType)
	if err != nil {
		return nil, nil, err
	}
	request, err = m.api.CertificatesV1().PodCertificateRequests(pod.Namespace).Create(ctx, &certificatesv1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName:    "req-",
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
		},
		Spec: certificatesv1.PodCertificateRequestSpec{
			SignerName: p.SignerName, PodName: pod.Name, PodUID: pod.UID, ServiceAccountName: account, ServiceAccountUID: sa.UID,
			NodeName: types.NodeName(node.Name), NodeUID: node.UID, MaxExpirationSeconds: p.MaxExpirationSeconds, StubPKCS10Request: proof,
			UnverifiedUserAnnotations: p.UserAnnotations,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("ask signer %s for a certificate of pod %s/%s: %w", p.SignerName, pod.Namespace, pod.Name, err)
	}
	return key, request, nil
}
