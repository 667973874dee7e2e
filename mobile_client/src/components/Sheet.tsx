import type {ReactNode} from 'react';
import {Modal, Pressable, ScrollView, View} from 'react-native';
import {useSafeAreaInsets} from 'react-native-safe-area-context';

import {useText} from '../i18n';
import {radius, readable, space} from '../theme/tokens';
import {useIsWide, useTheme} from '../theme/ThemeContext';
import {Button, IconButton} from './Button';
import {Row} from './Layout';
import {Words} from './Words';

/** A page in front of the page: from below on phones, in the middle where there is room. */
export function Sheet({open, title, onClose, children}: {open: boolean; title: string; onClose: () => void; children: ReactNode}) {
  const t = useText();
  const {colors, still} = useTheme();
  const isWide = useIsWide();
  const insets = useSafeAreaInsets();
  return (
    <Modal visible={open} transparent animationType={still ? 'none' : 'fade'} onRequestClose={onClose} supportedOrientations={['portrait', 'landscape']}>
      <View style={{flex: 1, justifyContent: isWide ? 'center' : 'flex-end', alignItems: 'center', padding: isWide ? space.vast : 0}}>
        <Pressable
          accessibilityElementsHidden
          importantForAccessibility="no"
          tabIndex={-1}
          aria-hidden
          onPress={onClose}
          style={{position: 'absolute', top: 0, bottom: 0, start: 0, end: 0, backgroundColor: colors.shade}}
        />
        <View
          role="dialog"
          aria-modal
          aria-label={title}
          style={{
            width: '100%',
            maxWidth: readable,
            maxHeight: '88%',
            backgroundColor: colors.surface,
            borderTopStartRadius: radius.large,
            borderTopEndRadius: radius.large,
            borderBottomStartRadius: isWide ? radius.large : 0,
            borderBottomEndRadius: isWide ? radius.large : 0,
            paddingBottom: isWide ? 0 : insets.bottom,
          }}>
          <View style={{flexDirection: 'row', alignItems: 'center', paddingStart: space.large, paddingEnd: space.small, paddingTop: space.small}}>
            <Words look="title" style={{flex: 1}}>
              {title}
            </Words>
            <IconButton icon="close" label={t('close')} onPress={onClose} />
          </View>
          <ScrollView keyboardShouldPersistTaps="handled" contentContainerStyle={{padding: space.large, gap: space.medium}}>
            {children}
          </ScrollView>
        </View>
      </View>
    </Modal>
  );
}

/** Asks before something is gone. */
export function Confirm({open, title, text, action, onYes, onClose}: {open: boolean; title: string; text: string; action: string; onYes: () => void; onClose: () => void}) {
  const t = useText();
  return (
    <Sheet open={open} title={title} onClose={onClose}>
      <Words>{text}</Words>
      <Row style={{justifyContent: 'flex-end'}}>
        <Button label={t('cancel')} onPress={onClose} />
        <Button
          look="danger"
          label={action}
          onPress={() => {
            onClose();
            onYes();
          }}
        />
      </Row>
    </Sheet>
  );
}
