package images

import (
	"context"
	"slices"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Access decides whether a pod may use an image that is present.
type Access struct {
	*Records
	// Preloaded has it asked also for images that this node did not pull; Pulled for those
	// that it pulled.
	Preloaded, Pulled bool
}

// allowed says whether the pod may use the image as it is. If not, it has to pull it,
// which the registry refuses to who has no right to it. creds are asked for only when the
// answer depends on them.
func (a Access) allowed(img container.Image, creds func() []credential) bool {
	record, byThisNode, err := a.get(img.Name, img.ID)
	switch {
	case !a.Preloaded && !a.Pulled:
		return true
	case err != nil:
		return false
	case !byThisNode && !a.Preloaded:
		return true
	case record == nil:
		return false
	case record.Everybody:
		return true
	case len(record.Secrets) == 0:
		return false
	}
	mine, others := split(img.Name, creds())
	if len(mine) == 0 {
		mine = others
	}
	for _, c := range mine {
		for _, known := range record.Secrets {
			same := known.sameSecret(c.origin)
			if !same && known.Hash != c.origin.Hash {
				continue
			}
			if !same || known.Hash != c.origin.Hash {
				a.allow(img.ID, false, c.origin) //nolint:errcheck // it is allowed now; the next time it is compared again
			}
			return true
		}
	}
	return false
}

// attempt is one way to pull an image.
type attempt struct {
	auth []container.RegistryAuth
	// origins of the credentials that may have been used; none: everybody may pull it.
	origins []origin
}

// attempts are the ways to pull an image with these credentials: each that is for its
// registry, beside those for others (which may be mirrors); without any, as everybody.
func attempts(image string, creds []credential) []attempt {
	mine, others := split(image, creds)
	var rest attempt
	for _, c := range others {
		rest.auth, rest.origins = append(rest.auth, c.RegistryAuth), append(rest.origins, c.origin)
	}
	if len(mine) == 0 {
		return []attempt{rest}
	}
	var out []attempt
	for _, c := range mine {
		out = append(out, attempt{auth: slices.Concat([]container.RegistryAuth{c.RegistryAuth}, rest.auth), origins: []origin{c.origin}})
	}
	return out
}

// split tells the credentials for an image's registry from those for others.
func split(image string, creds []credential) (mine, others []credential) {
	host := registryOf(image)
	for _, c := range creds {
		if c.Host == host {
			mine = append(mine, c)
		} else {
			others = append(others, c)
		}
	}
	return mine, others
}

// registryOf is the host of the registry that a name is of.
func registryOf(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	return reference.Domain(named)
}

// pullAs tries the ways to pull an image, and notes who may use it from now on.
func (m *Manager) pullAs(ctx context.Context, c *corev1.Container, creds []credential) (container.Image, error) {
	if err := m.access.begin(c.Image); err != nil {
		return container.Image{}, err
	}
	var img container.Image
	var err error
	for _, a := range attempts(c.Image, creds) {
		if img, err = m.store.Pull(ctx, c.Image, a.auth); err != nil {
			continue
		}
		// One that is not on record stays marked as being pulled: nobody uses it unasked.
		if rerr := m.access.allow(img.ID, len(a.origins) == 0, a.origins...); rerr != nil {
			return img, nil //nolint:nilerr // the pod that pulled it may use it
		}
		break
	}
	m.access.end(c.Image)
	return img, err
}
