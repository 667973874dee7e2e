import {memo, useEffect, useState} from 'react';
import {Image, View} from 'react-native';

import {useServices} from '../hooks/useServices';
import {useText} from '../i18n';
import {radius} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {Icon} from './Icon';
import {Skeleton} from './LoadingIndicator';

/** A kept picture, small for lists or whole; a skeleton until it is there. */
export const LibraryPicture = memo(function LibraryPicture({id, label, small = false, aspect = 1}: {id: string; label: string; small?: boolean; aspect?: number}) {
  const {library} = useServices();
  const {colors} = useTheme();
  const t = useText();
  const [shown, setShown] = useState<{id: string; uri: string | null} | null>(null);
  useEffect(() => {
    let gone = false;
    void (small ? library.smallUri(id) : library.uri(id)).then((uri) => {
      if (!gone) setShown({id, uri});
    });
    return () => {
      gone = true;
    };
  }, [id, library, small]);

  if (shown === null || shown.id !== id) return <Skeleton aspect={aspect} />;
  if (shown.uri === null) {
    return (
      <View
        accessible
        role="img"
        accessibilityLabel={t('pictureGone')}
        style={{aspectRatio: aspect, alignItems: 'center', justifyContent: 'center', backgroundColor: colors.raised, borderRadius: radius.medium}}>
        <Icon name="warn" color={colors.quiet} />
      </View>
    );
  }
  return (
    <Image
      source={{uri: shown.uri}}
      accessibilityLabel={label}
      resizeMode={small ? 'cover' : 'contain'}
      // Android otherwise keeps the whole picture in memory for a small view.
      resizeMethod="resize"
      style={{width: '100%', aspectRatio: aspect, borderRadius: radius.medium, backgroundColor: colors.raised}}
    />
  );
});
