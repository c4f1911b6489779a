package authentication

import (
	"fmt"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/util/webhook"
	tokenwebhook "k8s.io/apiserver/plugin/pkg/authenticator/token/webhook"
)

// reviewRetryDelay is upstream's first pause before a review is asked for again.
const reviewRetryDelay = 500 * time.Millisecond

// NewReviewer returns an authenticator that asks another server for a TokenReview
// (authentication.k8s.io/v1). The kubeconfig says how it is reached. Answers are
// believed for ttl, good ones and bad ones.
func NewReviewer(kubeconfig string, audiences authenticator.Audiences, ttl time.Duration) (authenticator.Token, error) {
	c, err := webhook.LoadKubeconfig(kubeconfig, nil)
	if err != nil {
		return nil, fmt.Errorf("token webhook: kubeconfig %s: %w", kubeconfig, err)
	}
	w, err := tokenwebhook.New(c, "v1", audiences, webhook.DefaultRetryBackoffWithInitialDelay(reviewRetryDelay))
	if err != nil {
		return nil, fmt.Errorf("token webhook: kubeconfig %s: %w", kubeconfig, err)
	}
	return cache.New(w, false, ttl, ttl), nil
}
