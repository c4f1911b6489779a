package encryption

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/step"
)

const (
	// pageSize is how many Secrets are in memory, which may be 1 MiB each.
	pageSize = 100
	// writers update at the same time: each waits for the way through a master.
	writers = 16
)

// Rewriter writes all Secrets again, so that the key that writes now encrypts them.
type Rewriter struct{ API kubernetes.Interface }

var _ step.Secrets = Rewriter{}

// Rewrite updates each Secret with what it has: an API server stores it anew where
// another key, or none, encrypted it. One that is changed or deleted meanwhile is done.
func (r Rewriter) Rewrite(ctx context.Context) error {
	page := metav1.ListOptions{Limit: pageSize}
	for {
		list, err := r.API.CoreV1().Secrets("").List(ctx, page)
		// What was listed first may be too old to go on with: the rest is listed as it
		// is by now then.
		var expired *apierrors.StatusError
		if apierrors.IsResourceExpired(err) && errors.As(err, &expired) && expired.ErrStatus.Continue != "" && expired.ErrStatus.Continue != page.Continue {
			page.Continue = expired.ErrStatus.Continue
			continue
		}
		if err != nil {
			return fmt.Errorf("list the Secrets that are to be encrypted anew: %w", err)
		}
		if err := r.update(ctx, list.Items); err != nil {
			return err
		}
		if page.Continue = list.Continue; page.Continue == "" {
			return nil
		}
	}
}

func (r Rewriter) update(ctx context.Context, secrets []corev1.Secret) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range secrets {
		s := &secrets[i]
		group.Go(func() error {
			_, err := r.API.CoreV1().Secrets(s.Namespace).Update(ctx, s, metav1.UpdateOptions{})
			if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("encrypt Secret %s/%s anew: %w", s.Namespace, s.Name, err)
			}
			return nil
		})
	}
	return group.Wait()
}
