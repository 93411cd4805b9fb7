package ami

import "context"

// Read reads an image, the keys of its snapshots, and with whom it is shared, as
// AWS has them now.
func Read(ctx context.Context, clients Clients, region, id string) (Image, Shared, error) {
	image, err := describeImage(ctx, clients(region), region, id)
	if err != nil {
		return Image{}, Shared{}, err
	}
	shared, err := LookShared(ctx, clients, image, false)
	return image, shared, err
}
